"""More honest letters and more fraud of today, in the manner of services and of those who forge them."""

from __future__ import annotations

from tests.samples.honest_letters import _mail as mail


def page(sender: str, subject: str, body: str, **fields: str) -> bytes:
    """A letter in HTML."""
    head = {"From": sender, "Subject": subject, "Content-Type": "text/html; charset=utf-8"}
    more = {name.replace("_", "-"): value for name, value in fields.items()}
    return mail({**head, **more}, f"<html><body>{body}</body></html>")


def text(sender: str, subject: str, body: str, **fields: str) -> bytes:
    """A letter in plain text."""
    more = {name.replace("_", "-"): value for name, value in fields.items()}
    return mail({"From": sender, "Subject": subject, **more}, body)


EVERYDAY: dict[str, bytes] = {
    "ticket-opened": text(
        "IT Helpdesk <support@uni.example>",
        "[Ticket#2026030210000123] Your request has been received",
        "Dear Anna Berg,\n\nwe have opened ticket 2026030210000123 for your request. Please keep "
        "the number in "
        "the subject when you answer.\nhttps://tickets.uni.example/2026030210000123\n\nYour helpdesk",
        Precedence="bulk",
        Auto_Submitted="auto-replied",
    ),
    "ticket-closed": page(
        "Support <support@software.example>",
        "How did we do? Ticket 88412 was solved",
        "<p>Hi Anna,</p><p>your ticket 88412 has been marked as solved. If it is not, just reply.</p>"
        "<p>How would you rate the support?</p><a href='https://software.example/r/88412/good'>Good</a> "
        "<a href='https://software.example/r/88412/bad'>Bad</a>",
    ),
    "calendar-in-german": mail(
        {
            "Subject": "Einladung: Institutsrat, Di 10. März 2026 14:00",
            "Content-Type": "text/calendar; charset=utf-8; method=REQUEST",
        },
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Sender//Kalender//DE\nMETHOD:REQUEST\nBEGIN:VEVENT\nUID:4711@sender.example\n"
        "DTSTAMP:20260302T090000Z\nDTSTART:20260310T130000Z\nSUMMARY:Institutsrat\nEND:VEVENT\nEND:VCALENDAR",
    ),
    "online-meeting": text(
        "Bruno Holm <bruno.holm@sender.example>",
        "Invitation: weekly meeting",
        "Join the meeting "
        "now\nhttps://meet.sender.example/j/88412345678?pwd=Zk9xTTdUd2N0\n\nMeeting ID: 884 1234 5678\n"
        "Passcode: 993311\n\nDial in by phone: +49 30 1234567",
    ),
    "webinar": page(
        "Publisher Webinars <webinars@publisher.example>",
        "Reminder: your webinar starts in 1 hour",
        "<p>Hello Anna, thank you for registering. Click the button to join.</p>"
        "<a href='https://webinars.publisher.example/join/abc123'>Join now</a>"
        "<p><a href='https://publisher.example/unsubscribe/1'>Unsubscribe</a></p>",
        List_Unsubscribe="<https://publisher.example/unsubscribe/1>",
    ),
    "telephone-bill-in-german": text(
        "Telefon AG Kundenservice <rechnung@telefon.example>",
        "Ihre Rechnung für Februar 2026",
        "Guten Tag Frau Berg,\n\nIhre Rechnung über 29,95 EUR liegt in Ihrem Kundenkonto bereit. "
        "Wir buchen den Betrag am "
        "12.03.2026 ab.\nhttps://www.telefon.example/kundenkonto\n\nFreundliche Grüße\nIhre Telefon AG",
    ),
    "direct-debit-in-german": text(
        "Stadtwerke <service@stadtwerke.example>",
        "Ankündigung SEPA-Lastschrift",
        "Sehr geehrte Frau Berg,\n\nam 16.03.2026 ziehen wir 84,00 EUR mit der Mandatsreferenz 4711 "
        "von Ihrem Konto DE** **** 12 "
        "ein. Bitte sorgen Sie für Deckung.\n\nIhre Stadtwerke",
    ),
    "password-reset-in-german": text(
        "Bibliothek <konto@bibliothek.example>",
        "Passwort zurücksetzen",
        "Hallo Anna Berg,\n\nSie haben angefordert, Ihr Passwort zurückzusetzen. Klicken Sie dazu "
        "innerhalb von 24 Stunden auf\n"
        "https://bibliothek.example/reset/8f7e4f0a12\n\nWenn Sie das nicht waren, ignorieren Sie "
        "diese E-Mail.",
    ),
    "code-to-sign-in": page(
        "Software <no-reply@software.example>",
        "Your verification code is 482913",
        "<p>Use the code below to sign in. It expires in 10 minutes.</p><h2>482913</h2>"
        "<p>Didn't request this? Someone may have typed your address by mistake.</p>",
    ),
    "new-device": text(
        "Software Security <security@software.example>",
        "New sign-in to your account",
        "Hi Anna,\n\nyour account was just used on a new device (Firefox on Linux, Berlin).\nIf "
        "this was you, you can ignore "
        "this. If not, secure your account:\nhttps://software.example/account/security",
    ),
    "overdue-book-in-german": text(
        "Universitätsbibliothek <ausleihe@bibliothek.example>",
        "2. Mahnung: überfällige Medien",
        "Sehr geehrte Frau Berg,\n\ndie Leihfrist eines Buches ist am 23.02.2026 abgelaufen. Es "
        "fallen Gebühren von 2,50 EUR an. "
        "Bitte geben Sie es umgehend zurück, sonst wird Ihr Konto gesperrt.\n\nIhre Bibliothek",
    ),
    "survey-with-a-draw-in-german": text(
        "Studierendenwerk <umfrage@studierendenwerk.example>",
        "Umfrage zur Mensa: Gutscheine zu gewinnen",
        "Liebe Studierende,\n\nnehmen Sie bis 15. März an unserer Umfrage teil. Unter allen "
        "Teilnehmenden verlosen wir 10 Gutscheine "
        "zu 50 EUR.\nhttps://umfrage.studierendenwerk.example/mensa",
    ),
    "alumni-donation": text(
        "Alumni Office <alumni@college.example>",
        "Help a student this spring",
        "Dear Anna,\n\nyour gift of $50 or $100 helps a student to finish. Donate online at "
        "https://college.example/give\n\n"
        "With thanks\nThe Alumni Office",
        List_Unsubscribe="<https://college.example/u/1>",
    ),
    "files-shared": page(
        "Transfer <noreply@transfer.example>",
        "bruno.holm@sender.example sent you files",
        "<p>bruno.holm@sender.example sent you 3 files, 24 MB in total. They expire on 9 March 2026.</p>"
        "<a href='https://transfer.example/downloads/8f7e4f0a'>Get your files</a>",
    ),
    "document-shared": page(
        "Bruno Holm <no-reply@share.example>",
        'Bruno Holm shared "Budget 2026" with you',
        "<p>Bruno Holm invited you to edit the following document.</p>"
        "<a href='https://share.example/d/8f7e4f0a'>Budget 2026</a><a "
        "href='https://share.example/d/8f7e4f0a'>Open</a>",
        Reply_To="Bruno Holm <bruno.holm@sender.example>",
    ),
    "code-review": text(
        "bholm <notifications@forge.example>",
        "Re: [project/parser] Fix overflow in header (PR #412)",
        "bholm commented on this pull request.\n\n> if (length > 998)\n\nShouldn't this be "
        ">=?\n\n--\nReply to this mail directly "
        "or view it: https://forge.example/project/parser/pull/412",
        List_ID="<parser.project.forge.example>",
        In_Reply_To="<project/parser/pull/412@forge.example>",
    ),
    "poll-for-a-date": text(
        "Bruno via Polls <mailer@polls.example>",
        "Bruno invites you: thesis defence",
        "Hi,\n\nBruno Holm wants to find a date. Choose the times that suit you until "
        "Friday:\nhttps://polls.example/p/abc123",
    ),
    "train-tickets-in-german": text(
        "Bahn <buchung@bahn.example>",
        "Buchungsbestätigung (Auftrag X7K2P9)",
        "Guten Tag Anna Berg,\n\nvielen Dank für Ihre Buchung. Gesamtpreis: 47,80 EUR, bezahlt mit "
        "Kreditkarte **** 4242. Ihr Ticket "
        "finden Sie in der App oder unter\nhttps://www.bahn.example/auftrag/X7K2P9",
    ),
    "payslip-in-german": text(
        "Personalabteilung <personal@uni.example>",
        "Ihre Entgeltabrechnung steht bereit",
        "Liebe Kolleginnen und Kollegen,\n\ndie Abrechnungen für Februar stehen im Portal bereit. "
        "Bitte melden Sie sich mit Ihrem "
        "Uni-Konto an:\nhttps://portal.uni.example/entgelt",
    ),
    "conference-fee": text(
        "Conference Office <office@conference.example>",
        "Payment reminder: registration C2026-118",
        "Dear Dr Berg,\n\nwe have not yet received your registration fee of EUR 420. Please pay by "
        "20 March to keep the early rate. "
        "Our bank details are on the invoice of 2 February.\n\nKind regards\nThe organisers",
    ),
    "domain-renewal": text(
        "Registrar <billing@registrar.example>",
        "Your domain anna-berg.example expires in 30 days",
        "Dear Anna Berg,\n\nanna-berg.example expires on 1 April 2026. Automatic renewal is off. "
        "Renew it at\n"
        "https://registrar.example/domains\n\nCustomer 4711, Registrar Ltd, 1 High Street, London",
    ),
    "appointment-in-german": text(
        "Praxis Dr. Holm <termine@praxis.example>",
        "Terminerinnerung",
        "Guten Tag Frau Berg,\n\nwir erinnern an Ihren Termin am 5. März um 8:30 Uhr. Bitte bringen "
        "Sie Ihre Versichertenkarte mit. "
        "Absagen bitte 24 Stunden vorher.\n\nIhr Praxisteam",
    ),
    "bank-warns-in-german": text(
        "Bank Newsletter <newsletter@bank.example>",
        "So erkennen Sie Phishing",
        "Guten Tag,\n\nBetrüger verschicken E-Mails, nach denen Ihr Konto gesperrt sei. Wir fragen "
        "nie nach PIN oder TAN. "
        "Mehr unter https://www.bank.example/sicherheit\n\nAbmelden: https://www.bank.example/abmelden/1",
        List_Unsubscribe="<https://www.bank.example/abmelden/1>",
    ),
}

FRAUD: dict[str, bytes] = {
    "voice-message": page(
        "Voicemail uni.example <noreply@bakery.example>",
        "New voice message for a.berg@uni.example",
        "<p>a.berg@uni.example, you have a new voice message (0:42). Your mailbox will delete it "
        "within 24 hours.</p>"
        "<a href='https://voice-8841.web.app/#a.berg@uni.example'>Play message</a>",
    ),
    "signature-wanted": page(
        "DocuSign <docs@bakery.example>",
        "Completed: please review and sign your document",
        "<p>DocuSign: you have a document to review and sign. Sign in with your email password to view.</p>"
        "<a href='https://sign-docs.pages.dev/login?e=a.berg@uni.example'>REVIEW DOCUMENT</a>",
    ),
    "account-limited-in-german": text(
        "Sparkasse Kundenservice <info@bakery.example>",
        "Wichtig: Ihr Konto wurde eingeschränkt",
        "Sehr geehrter Kunde,\n\nIhr Konto wurde vorübergehend gesperrt. Bitte bestätigen Sie "
        "innerhalb von 24 Stunden Ihre Daten, sonst "
        "wird Ihr Konto endgültig "
        "geschlossen:\nhttps://sparkasse-sicherheit.bakery.example/login\n\nIhre Sparkasse",
    ),
    "chief-in-german": text(
        "Prof. Dr. Holm <dekanat.uni@gmail.com>",
        "Dringend",
        "Hallo Anna,\n\nsind Sie gerade verfügbar? Ich bin in einer Sitzung und kann nicht "
        "telefonieren. Bitte kaufen Sie sofort "
        "5 Apple-Geschenkkarten zu je 100 EUR und schicken Sie mir Fotos der Codes. Ich erstatte es "
        "Ihnen heute.",
    ),
    "tasks": text(
        "HR Team <hr8812@gmail.com>",
        "Remote part-time job, earn $200 - $500 daily",
        "Hello dear,\n\nwe offer a remote job, earn $200 to $500 per day, no experience needed, 1 "
        "hour daily. Contact our manager on "
        "WhatsApp +1 202 555 0147 now. Limited places!",
    ),
    "inheritance-in-german": text(
        "Barrister Holm <barr.holm@gmail.com>",
        "Erbschaft von 8,5 Millionen US-Dollar",
        "Sehr geehrter Freund,\n\nich bin der Anwalt eines verstorbenen Kunden, der 8,5 Millionen "
        "US-Dollar ohne Erben hinterlassen hat. "
        "Ich bitte um Ihre vertrauliche Zusammenarbeit, 40 % für Sie. Bitte senden Sie Namen, "
        "Adresse und Telefonnummer.",
        Reply_To="barr.holm.chambers@outlook.com",
    ),
    "tax-refund-in-german": text(
        "Bundeszentralamt für Steuern <steuer@bakery.example>",
        "Steuererstattung 412,80 EUR",
        "Sehr geehrter Steuerzahler,\n\nnach Prüfung haben Sie Anspruch auf eine Steuererstattung "
        "von 412,80 EUR. Bitte geben Sie Ihre "
        "Kreditkartendaten innerhalb von 48 Stunden ein:\nhttps://elster-erstattung.web.app/formular",
    ),
    "second-factor": page(
        "IT uni.example <support@bakery.example>",
        "Action required: your multi-factor authentication expires today",
        "<p>Dear a.berg@uni.example, your authenticator session expires today. Re-validate now or "
        "lose access to your mailbox.</p>"
        "<a href='https://mfa-renew.pages.dev/#a.berg@uni.example'>Verify your account</a>",
    ),
    "loan": text(
        "Credit Finance <loan.offer77@gmail.com>",
        "LOAN OFFER AT 2% INTEREST RATE",
        "Do you need an urgent loan? We offer business and personal loans at 2% interest, from "
        "$5,000 to $10,000,000, no collateral, "
        "no credit check. Apply now with your full name, country, amount needed and phone number.",
    ),
}
