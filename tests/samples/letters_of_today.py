"""Fraud of today by its structure, and honest letters that look like it."""

from __future__ import annotations

from tests.samples.everyday_letters import page, text
from tests.samples.honest_letters import _mail as mail

_ME = "a.berg@uni.example"


def _with(name: str, media: str, content: str, head: dict[str, str], body: str) -> bytes:
    """A letter with an attached text."""
    fields = {**head, "Content-Type": "multipart/mixed; boundary=b"}
    attached = f'Content-Type: {media}; name="{name}"\n'
    attached += f'Content-Disposition: attachment; filename="{name}"\n\n{content}'
    return mail(fields, f"--b\nContent-Type: text/plain; charset=utf-8\n\n{body}\n--b\n{attached}\n--b--")


HONEST_TODAY: dict[str, bytes] = {
    "alarm-of-a-provider": page(
        "Microsoft account team <account-security-noreply@accountprotection.microsoft.com>",
        "Microsoft account unusual sign-in activity",
        "<p>We detected something unusual about a recent sign-in to the Microsoft account "
        "an**g@uni.example.</p>"
        "<p>Please go to your recent activity page to let us know whether or not this was you.</p>"
        "<a href='https://account.live.com/activity'>Review recent activity</a>",
        Received="from mail-eur05.outbound.protection.outlook.com "
        "(mail-eur05.outbound.protection.outlook.com "
        "[192.0.2.9]) by mx.uni.example (Postfix) with ESMTPS id 4X; Mon, 2 Mar 2026 10:00:00 +0100",
    ),
    "domain-owner-to-confirm-in-german": text(
        "Registrar Support <support@registrar.example>",
        "Bitte bestätigen Sie Ihre E-Mail-Adresse (ICANN)",
        "Sehr geehrte Frau Berg,\n\nnach den Vorgaben der ICANN müssen Sie Ihre E-Mail-Adresse "
        "bestätigen. Bitte "
        "klicken Sie innerhalb von 15 Tagen auf den Link:\nhttps://registrar.example/v/8f7e4f0a",
    ),
    "codes-to-scan": text(
        "Mensa <mensa@mensa.example>",
        "Neue App: QR-Code scannen und bezahlen",
        "Ab Januar könnt ihr an der Kasse mit dem Handy bezahlen: QR-Code scannen, fertig.",
    ),
    "second-factor-of-our-own": page(
        "IT Services <it@uni.example>",
        "Action required: set up multi-factor authentication by 30 April",
        "<p>Dear Anna,</p><p>multi-factor authentication is required for all staff. Please scan "
        "the QR code in the "
        "portal with your authenticator app before 30 April, otherwise you cannot sign in.</p>"
        "<a href='https://www.uni.example/it/mfa'>How to</a>",
    ),
    "second-factor-of-a-service": page(
        "Cloud Service <noreply@cloud.example>",
        "Your authenticator",
        "<p>Hi Anna, scan this QR code with your authenticator app to finish the set-up.</p>"
        "<img src='https://cloud.example/qr/1.png' width='200'>",
    ),
    "salary-of-our-own": text(
        "Personalabteilung <personal@uni.example>",
        "Gehaltsabrechnung März 2026",
        "Guten Tag Frau Berg,\n\nIhre Entgeltabrechnung steht im Portal bereit. Änderungen der "
        "Bankverbindung teilen "
        "Sie uns bitte mit dem Formular mit.\nhttps://portal.uni.example/",
    ),
    "form-of-students": text(
        "Fachschaft <fachschaft.info@gmail.com>",
        "Umfrage zur O-Woche",
        "Hallo zusammen,\n\nbitte füllt bis Freitag unsere Umfrage aus: "
        "https://forms.gle/AbC123dEf456\n\nEure Fachschaft",
        Received="from mail-ed1-x52.google.com (mail-ed1-x52.google.com [192.0.2.7]) by "
        "mx.uni.example (Postfix) with "
        "ESMTPS id 4X; Mon, 2 Mar 2026 10:00:00 +0100",
    ),
    "speaker-invited": text(
        "Carl Weber <weber@tu.example>",
        "Invitation to speak at MailSec",
        "Dear Anna,\n\nI am delighted to invite you as our keynote speaker in Vienna. Your "
        "research on greylisting would "
        "interest everybody. The registration fee is waived. I look forward to your response.\n\nCarl",
    ),
    "call-for-papers": text(
        "MailSec Chairs <chairs@mailsec.example>",
        "Deadline extended: submit by February 14",
        "Dear colleague,\n\nwe invite original research on spam and phishing for MailSec 2027, "
        "published in our "
        "proceedings. Best paper award: EUR 500. Please submit your paper via the site: "
        "https://mailsec.example/",
    ),
    "job-at-the-institute": text(
        "Institut <institut@tu.example>",
        "Studentische Hilfskraft gesucht",
        "Das Institut sucht eine studentische Hilfskraft, 13,50 Euro pro Stunde, 10 Stunden in der "
        "Woche, auch von zu "
        "Hause. Bewerbung bitte mit Lebenslauf.",
    ),
    "pictures-alone-in-a-newsletter": page(
        "Furniture <family@news.furniture.example>",
        "Your offers in March: win a voucher",
        "<a href='https://c.mailing.example/1'><img src='https://s.mailing.example/1.jpg' width='600'></a>",
        List_Unsubscribe="<https://c.mailing.example/u>",
    ),
    "preheader-and-filling": page(
        "Café <info@cafe.example>",
        "Unser März: Lesung und Waffeln",
        "<div style='display:none;font-size:1px;opacity:0;max-height:0'>Lesung und Waffeln"
        + "&#847;&zwnj;&nbsp;" * 60
        + "</div><h2>Liebe Gäste!</h2><p>Am Freitag liest Clara Sommer. Eintritt frei.</p>",
    ),
    "report-as-page": _with(
        "protokoll.html",
        "text/html",
        "<html><script>var data = [1, 2];</script><h1>Messung 4</h1></html>",
        {"Subject": "Messprotokoll"},
        "Hallo Anna, anbei das Messprotokoll als HTML. Gruß, Bruno",
    ),
    "colis-arrive": page(
        "Transporteur <notification@transporteur.example>",
        "Votre colis arrive aujourd'hui",
        "<p>Bonjour Anna Berg,</p><p>Votre colis sera livré aujourd'hui entre 9h et 13h.</p>"
        "<a href='https://www.transporteur.example/suivi'>Suivre mon colis</a>",
    ),
    "warning-of-a-bank": page(
        "Bank <info@bank.example>",
        "Sicherheitshinweis: Phishing-Mails im Umlauf",
        "<p>Liebe Kundinnen und Kunden,</p><p>derzeit sind Phishing-Mails im Umlauf, in denen Sie Ihre Daten "
        "bestätigen sollen. Wir fragen nie nach PIN oder TAN, klicken Sie nicht auf solche Links.</p>",
    ),
    "payment-refused-in-french": page(
        "Mobile <noreply@mobile.example>",
        "Votre paiement a été refusé",
        "<p>Bonjour Anna Berg,</p><p>le paiement de votre facture a été refusé. Merci de mettre à "
        "jour votre carte "
        "bancaire dans votre espace.</p><a href='https://www.mobile.example/account'>Mon espace</a>",
    ),
    "committee-to-join": text(
        "Chairs <chairs@conference.example>",
        "Invitation to join the committee",
        "Dear Anna,\n\nwe are delighted to invite you to serve on the program committee. Your "
        "outstanding expertise "
        "would be a valuable contribution. Please reply within two weeks.",
    ),
    "payment-failed-with-a-host-in-german": text(
        "Hoster <billing@hoster.example>",
        "Zahlung fehlgeschlagen",
        "Sehr geehrte Frau Berg,\n\nleider konnten wir 12,04 EUR nicht abbuchen. Bitte "
        "aktualisieren Sie Ihre "
        "Zahlungsdaten unter https://accounts.hoster.example.",
    ),
    "new-bank-of-a-supplier": text(
        "Druckerei Schmidt <info@druckerei.example>",
        "Rechnung 2026-114",
        "Sehr geehrte Frau Berg,\n\nim Anhang finden Sie unsere Rechnung. Bitte überweisen Sie auf "
        "das angegebene Konto und "
        "beachten Sie unsere neue Bankverbindung.",
    ),
}  # fmt: skip

FRAUD_TODAY: dict[str, bytes] = {
    "vouchers-behind-a-short-link": page(
        "Lufthansa <newsletter@shop.example>",
        "Belohnungsprogramm",
        f"<p>Hallo {_ME}!</p><p>Wir verlosen Gutscheine im Wert von 500 €. Hier die Teilnahme bestätigen:</p>"
        "<a href='https://t.co/ozCm5PhRE2'>An der Verlosung teilnehmen</a>",
        To=_ME,
    ),
    "mailbox-to-migrate": text(
        "Universität IT <it-support@uni-verwaltung.example>",
        "Umstellung Ihres E-Mail-Kontos",
        "Wir stellen unser E-Mail-System um. Bitte migrieren Sie Ihr Konto bis heute 18 Uhr, sonst "
        "verlieren Sie den "
        "Zugriff auf Ihre E-Mails: https://uni-migration.weebly.com",
    ),
    "keep-the-password": page(
        "uni.example Support <noreply@trading.example>",
        f"Password expiration notice for {_ME}",
        f"<p>The password of {_ME} expires today. Continue with the same password.</p>"
        f"<a href='https://webmail-auth.pages.dev/#{_ME}'>Keep same password</a>",
        To=_ME,
    ),
    "voice-message-behind-a-page": page(
        "Voice Message <vm@stonebridge.example>",
        "New voice message - 00:42",
        "<p>You received a new voice message</p><p>Length: 00:42 secs</p>"
        "<a href='https://vm-7712.web.app/?e=YS5iZXJnQHVuaS5leGFtcGxl'>Play voice message</a>",
        To=_ME,
    ),
    "voice-message-as-page": _with(
        "VM_a.berg_0042.html",
        "text/html",
        "<html><script>document.write(atob('PGZvcm0+'))</script></html>",
        {"From": "PBX <pbx@vm.example>", "To": _ME, "Subject": "Voicemail (42 sec)"},
        "You have a missed call. Please listen to the attached voicemail.",
    ),
    "code-for-second-factor": mail(
        {
            "From": "Security Team <security@acct-portal.example>",
            "To": _ME,
            "Subject": "Action required: update your 2FA",
            "Content-Type": "text/html; charset=utf-8",
        },
        "<img src='cid:qr' width='220'><p>Your two-factor authentication expires soon. Scan the QR "
        "code with your phone "
        "camera to re-authenticate and keep access to your mailbox.</p>",
    ),
    "benefits-behind-a-login": page(
        "HR Department <sharedfile@file-notify.example>",
        "Salary review 2026",
        "<p>The updated bonus statement was shared with you.</p>"
        f"<a href='https://storage.googleapis.com/q4/index.html#{_ME}'>Open</a>",
        To=_ME,
    ),
    "library-to-reactivate": text(
        "University Library <library@lib-access.example>",
        "Library account: access expires",
        "Dear User,\n\nYour access to the library is expiring soon due to inactivity. To continue "
        "you must reactivate your "
        "account:\nhttps://login.ub.uni.de.lib-access.example/idp/\n\nUniversity Library",
        To=_ME,
    ),
    "words-in-the-style-sheet": page(
        "Power Station Unlocked <wsakt@shopint.example>",
        "Re: You have won a power station",
        "<a href='https://t.co/8bm8XBSqVu'><h2>Your chance to receive a free power station</h2>"
        "<img src='https://i.pictures.example/1.png'></a><style>"
        + ",\n\n".join(["verhindern", "squadron", "cilantro", "columna", "eagles", "weaver"] * 20)
        + "</style>",
    ),
    "report-the-user": page(
        "Facebook <no-reply@access.example>",
        "Someone tried to log in to your account",
        "<p>We noticed an unusual sign-in attempt to your account from a new device. If this was "
        "not you, report the "
        "user.</p><a href='mailto:secure.alerts.1@gmail.com?subject=Report%20the%20user'>Report "
        "the user</a>",
        Reply_To="secure.alerts.1@gmail.com",
    ),
    "trusted-says-itself": page(
        "=?UTF-8?B?REhMIFBha2V0?= <contact@xpal.example>",
        "Je pakket wacht op levering",
        "<div>This message is from a trusted sender.</div><p>Bevestig je adres en betaal de "
        "verzendkosten.</p>"
        "<a href='http://xpal.example/cl/4214'>Bevestig mijn pakket</a>",
    ),
    "winner-by-pictures": page(
        "Rewards <no-reply@rewards.example>",
        "Re: 2nd attempt for Anna",
        "<a href='https://storage.googleapis.com/abc/l.html#4aB'><h2>You are our winner</h2>"
        "<img src='https://storage.googleapis.com/abc/y.png'></a>",
    ),
    "parcel-in-french": page(
        "Chronopost <suivi@livraison.example>",
        "Votre colis est en attente",
        "<p>Cher client,</p><p>Votre colis n'a pas pu être livré car les frais de douane (1,99 €) "
        "n'ont pas été payés. "
        "Veuillez confirmer le paiement sous 48 heures.</p><a "
        "href='https://livraison.example/p'>Payer maintenant</a>",
    ),
    "payment-failed-in-german": page(
        "Netflix <info@abo-verwaltung.example>",
        "Letzte Erinnerung",
        "<p>Hallo,</p><p>die Zahlung ist fehlgeschlagen. Bitte aktualisieren Sie Ihre "
        "Zahlungsdaten, sonst wird Ihr Konto "
        "gesperrt.</p><a href='https://abo-verwaltung.example/n'>Jetzt bestätigen</a>",
    ),
    "dean-has-a-favour-to-ask": text(
        "Dean's Office <deanoffice.uni@gmail.com>",
        "Are you on campus?",
        "Are you on campus right now? I need a favor, I am in a meeting and can't take calls.",
    ),
    "extortion-of-today": text(
        "Pegasus <x9@vps.example>",
        "I recorded you",
        "Ever heard of Pegasus? I installed it on your phone and made a movie of you wanking. Pay "
        "2000 dollar in monero "
        "within 48 hours, or I send it to all your contacts.",
    ),
    "call-to-cancel": text(
        "Billing Dept <markjohnson.acc881@gmail.com>",
        "Order confirmation",
        "Your subscription has been renewed and $349.99 will be debited from your account within "
        "24 hours. To cancel call "
        "our help desk: +1 (808) 555-0147",
    ),
    "manuscript-of-value": text(
        "Journal of Everything <editor@journals.example>",
        "Dear Dr. Berg: submit your valuable manuscript",
        "Greetings of the day!\n\nWe have gone through your eminent article and cordially invite "
        "you to submit your valuable "
        "manuscript for our upcoming issue on or before November 14th. We are in shortfall of one article.",
    ),
    "first-page-of-search": text(
        "Priya Sharma <priya.seoexpert11@gmail.com>",
        "Website ranking",
        "I was on your website and found that it is not ranking on Google. We can place it on the "
        "first page. We offer SEO "
        "services and web design at affordable prices. May I send you a quote?",
    ),
    "attendees-for-sale": text(
        "Jessica Moore <jessica@leads.example>",
        "Attendees list - MailSec",
        "Would you be interested in acquiring the attendees email list of MailSec? Count: 12,412 "
        "verified contacts. Let me "
        "know so that I can share the cost and discount.",
    ),
    "assistant-paid-by-the-week": text(
        "HR Recruiter <recruit.parttime@hotmail.com>",
        "Part-time job",
        "The services of a student assistant are required to work part-time and get paid $450 "
        "weekly. Text Prof. Green at "
        "(808) 555-0147 with your alternative email.",
    ),
    "don-de-la-cliente": text(
        "Maître Dubois <maitre.dubois@hotmail.com>",
        "Succession",
        "Ma cliente, atteinte d'un cancer, souhaite vous faire don de 750.000 euros. Contactez-moi "
        "avec votre numéro. Que "
        "Dieu vous bénisse",
        Reply_To="maitre.dubois99@gmail.com",
    ),
}  # fmt: skip
