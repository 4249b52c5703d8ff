"""Honest letters of many kinds, as people and programs send them today. No rule may come near tagging one."""

from __future__ import annotations

_DATE = "Mon, 2 Mar 2026 10:00:00 +0100"


def _mail(fields: dict[str, str | None], body: str) -> bytes:
    """A mail with ordinary fields, but for what ``fields`` says otherwise; None for one that it lacks."""
    sender = fields.get("From") or ""
    domain = sender.rpartition("@")[2].strip("<> ") or "sender.example"
    ordinary: dict[str, str | None] = {
        "Received": f"from mail.{domain} (mail.{domain} [192.0.2.10]) by mx.uni.example (Postfix) with ESMTPS"
        f" id 4XyZ1A2B3C for <a.berg@uni.example>; {_DATE}",
        "From": "Bruno Holm <bruno.holm@sender.example>",
        "To": "Anna Berg <a.berg@uni.example>",
        "Subject": "Monday's meeting",
        "Date": _DATE,
        "Message-ID": f"<5d0c6a31-8f7e-4f0a@mail.{domain}>",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
    }
    merged = {**ordinary, **fields}
    head = "".join(f"{name}: {value}\n" for name, value in merged.items() if value is not None)
    return f"{head}\n{body}\n".replace("\n", "\r\n").encode()


_BOUNCE = """This is the mail system at host mx.sender.example.

I'm sorry to have to inform you that your message could not be delivered to one or more recipients.
It's attached below. For further assistance, please send mail to postmaster.

<b.holm@sender.example>: host mx2.sender.example said: 552 5.2.2 Mailbox full, over quota
"""
_NEWSLETTER = """<html><head><title>The library in March</title></head><body style="background-color:#ffffff">
<table width="600" align="center"><tr><td align="center">
<img src="https://news.shop.example/logo.png" width="200"></td></tr>
<tr><td><h1 style="font-size:32px">The library in March</h1><p>New books, longer hours,
and a free guided tour on Friday.
Order before the end of the month and save 20% on photocopies.
<a href="https://news.shop.example/c/8f7e4f0a">Read more</a></p>
<p>You receive this mail because you subscribed to our newsletter.
<a href="https://news.shop.example/unsubscribe/8f7e4f0a">Unsubscribe</a></p></td></tr></table></body></html>"""

HONEST: dict[str, bytes] = {
    "letter": _mail({}, "Dear Anna,\n\nhere are the minutes of Monday's meeting.\n\nBest wishes\nBruno"),
    "letter-in-german": _mail(
        {"Subject": "Protokoll der Sitzung"},
        "Liebe Frau Berg,\n\nanbei das Protokoll. Bitte bestätigen Sie mir kurz, dass Sie am Montag "
        "kommen.\n\nGrüße\nB. Holm",
    ),
    "letter-in-russian": _mail(
        {"Subject": "=?utf-8?B?0J/RgNC+0YLQvtC60L7Quw==?="},
        "Уважаемая Анна,\n\nпосылаю Вам протокол заседания.\n\nС уважением",
    ),
    "letter-in-greek-with-latin-names": _mail(
        {"Subject": "=?utf-8?B?zpXPgc+MzrbOtw==?="},
        "Αγαπητή Anna, σου στέλνω το α-λεξικό και το Python script.",
    ),
    "letter-in-chinese": _mail(
        {"Subject": "=?gb2312?B?u+HS6bzHwrw=?=", "Content-Type": "text/plain; charset=utf-8"},
        "安娜,您好。附件是星期一的会议记录。",
    ),
    "letter-from-a-free-address": _mail(
        {
            "From": "Bruno Holm <bruno.holm81@gmail.com>",
            "Message-ID": "<CAKx7dQ=abc@mail.gmail.com>",
            "Received": "from mail-ed1-f52.google.com (mail-ed1-f52.google.com [192.0.2.52]) by"
            f" mx.uni.example (Postfix) with ESMTPS id 4Xy for <a.berg@uni.example>; {_DATE}",
        },
        "Hi Anna, are you available for lunch tomorrow? Bruno",
    ),
    "answer": _mail(
        {
            "Subject": "Re: Monday's meeting",
            "In-Reply-To": "<1@uni.example>",
            "References": "<1@uni.example>",
        },
        "Fine with me.\n\nOn Mon, Anna wrote:\n> Shall we meet at ten?",
    ),
    "answer-without-references": _mail({"Subject": "Re: Monday's meeting"}, "Yes, at ten. B."),
    "bounce": _mail(
        {
            "From": "Mail Delivery System <MAILER-DAEMON@mx.sender.example>",
            "Subject": "Undelivered Mail Returned to Sender",
            "Auto-Submitted": "auto-replied",
            "Content-Type": 'multipart/report; report-type=delivery-status; boundary="B"',
        },
        f"--B\nContent-Type: text/plain; charset=utf-8\n\n{_BOUNCE}\n--B\nContent-Type: "
        f"message/delivery-status\n\n"
        "Reporting-MTA: dns; mx.sender.example\n\nFinal-Recipient: rfc822; "
        "b.holm@sender.example\nAction: failed\n"
        "Status: 5.2.2\n\n--B--",
    ),
    "out-of-office": _mail(
        {"Subject": "Automatic reply: Monday's meeting", "Auto-Submitted": "auto-replied"},
        "I am out of the office until 9 March. In urgent cases please contact my deputy.",
    ),
    "out-of-office-in-german": _mail(
        {"Subject": "Abwesenheitsnotiz", "Auto-Submitted": "auto-replied"},
        "Ich bin bis zum 9. März nicht im Hause. In dringenden Fällen wenden Sie sich bitte an meine "
        "Vertretung.",
    ),
    "list": _mail(
        {
            "From": "Bruno Holm <bruno.holm@gmail.com>",
            "To": "users@lists.sender.example",
            "Subject": "[users] Viagra spam gets through, what to do?",
            "List-Id": "Users <users.lists.sender.example>",
            "List-Unsubscribe": "<mailto:users-leave@lists.sender.example>",
            "Precedence": "list",
        },
        "Hi all, since Monday spam about pills gets through. The header says Outlook Express. Any ideas?\n\n"
        "_______________________________________________\nusers mailing "
        "list\nhttps://lists.sender.example/users",
    ),
    "list-that-rewrites-from": _mail(
        {
            "From": "Bruno Holm via users <users@lists.sender.example>",
            "Reply-To": "Bruno Holm <bruno.holm@gmail.com>",
            "To": "users@lists.sender.example",
            "List-Id": "Users <users.lists.sender.example>",
        },
        "The new release is out. Please test it.",
    ),
    "newsletter": _mail(
        {
            "From": "Shop News <news@news.shop.example>",
            "Subject": "The library in March: save 20%",
            "List-Unsubscribe": "<https://news.shop.example/u/1>",
            "Content-Type": "text/html; charset=utf-8",
        },
        _NEWSLETTER,
    ),
    "newsletter-without-a-way-out-in-the-header": _mail(
        {
            "From": "Shop News <news@news.shop.example>",
            "Subject": "The library in March",
            "Content-Type": 'text/html; charset="utf-8"',
        },
        _NEWSLETTER,
    ),
    "invoice": _mail(
        {
            "From": "Billing <billing@shop.example>",
            "Subject": "Your invoice 4711",
            "Content-Type": 'multipart/mixed; boundary="B"',
        },
        "--B\nContent-Type: text/plain; charset=utf-8\n\nDear Ms Berg,\n\nplease find attached "
        "invoice 4711 of $1,250.00.\n"
        "Your payment is due within 14 days.\n\n--B\nContent-Type: application/pdf\n"
        'Content-Disposition: attachment; filename="Invoice-4711.pdf"\n\nx\n--B--',
    ),
    "parcel": _mail(
        {"From": "Shop <dispatch@shop.example>", "Subject": "Your order is on its way"},
        "Dear Ms Berg,\n\nyour parcel has been handed to DHL and will be delivered on Wednesday. "
        "Track it at\n"
        "https://www.dhl.de/track?id=4711\n\nYour shop",
    ),
    "password-reset": _mail(
        {"From": "Uni Accounts <accounts@uni.example>", "Subject": "Reset your password"},
        "Hello Anna,\n\nsomebody, we hope you, asked for a new password. Choose it within 24 hours at\n"
        "https://accounts.uni.example/reset/8f7e4f0a\n\nIf it was not you, do nothing.",
    ),
    "security-notice": _mail(
        {"From": "Code Site <noreply@code.example>", "Subject": "New sign-in to your account"},
        "Hi aberg,\n\nwe noticed a new sign-in to your account from Firefox on Linux. If that was "
        "you, all is well. If not,\n"
        "review your sessions at https://code.example/settings/sessions",
    ),
    "bank": _mail(
        {
            "From": "Sparkasse Musterstadt <info@sparkasse-musterstadt.de>",
            "Subject": "Neues in Ihrem Postfach",
        },
        "Guten Tag Frau Berg,\n\nim elektronischen Postfach Ihres Online-Bankings liegt ein neuer "
        "Kontoauszug.\n\nIhre Sparkasse",
    ),
    "helpdesk": _mail(
        {"From": "IT Service Desk <helpdesk@uni.example>", "Subject": "Wartung der Mailserver am Samstag"},
        "Liebe Kolleginnen und Kollegen,\n\nam Samstag werden die Mailserver gewartet. Von 8 bis 10 "
        "Uhr ist kein Zugriff auf die\n"
        "Postfächer möglich. Sie müssen nichts tun.",
    ),
    "cron": _mail(
        {
            "From": "root@host7.uni.example (Cron Daemon)",
            "Message-ID": "<20260302090001.4XyZ1A2B3C@host7.uni.example>",
            "Subject": "Cron <root@host7> test -x /usr/sbin/anacron",
        },
        "/etc/cron.daily/logrotate:\nerror: skipping /var/log/x.log",
    ),
    "monitoring": _mail(
        {
            "From": "icinga@mon.uni.example",
            "Subject": "** PROBLEM: HOST7 DISK CRITICAL **",
            "X-Priority": "1",
        },
        "Service: disk\nHost: host7\nState: CRITICAL\n\n98% used, http://192.168.7.7:8080/host7",
    ),
    "scanner": _mail(
        {
            "From": "scanner@uni.example",
            "Subject": "Scan from MFP-3-117",
            "Message-ID": "<20260302100000.4711@mfp-3-117>",
            "Content-Type": 'multipart/mixed; boundary="B"',
        },
        "--B\nContent-Type: application/pdf\n"
        'Content-Disposition: attachment; filename="scan0001.pdf"\n\nx\n--B--',
    ),
    "invitation": _mail(
        {"Subject": "Invitation: seminar", "Content-Type": 'multipart/alternative; boundary="B"'},
        "--B\nContent-Type: text/plain; charset=utf-8\n\nYou have been invited to the seminar on Tuesday.\n"
        "--B\nContent-Type: text/calendar; charset=utf-8; "
        "method=REQUEST\n\nBEGIN:VCALENDAR\nEND:VCALENDAR\n--B--",
    ),
    "talk-about-fraud": _mail(
        {"Subject": "Warning: phishing mails in the name of the IT service"},
        "Dear all,\n\nat the moment mails go round that say your mailbox is full and ask you to log "
        "in. Delete them. We never ask\n"
        "for passwords by mail. See https://www.uni.example/it/phishing\n\nYour IT service",
    ),
    "physician": _mail(
        {"Subject": "Drug trial"},
        "Dear Anna, sildenafil in pulmonary hypertension: the trial has 120 patients, please see the "
        "table. The insurance of the\n"
        "patients is settled. Best, Bruno",
    ),
    "call-for-papers": _mail(
        {"From": "Chair <chair@conf.example>", "Subject": "CFP: Workshop on Networks, deadline extended!"},
        "Dear colleague,\n\nthe deadline has been extended to 15 March. Submit now at "
        "https://conf.example/submit\n"
        "Registration is free for students.",
    ),
    "old-outlook": _mail(
        {
            "X-Mailer": "Microsoft Outlook 16.0",
            "Message-ID": "<000b01dcaa12$813bf1e0$83b3d5a0$@sender.example>",
            "Thread-Index": "AdyqEoAbOqLIU4xkQ6KSkqkQkQkQkQ==",
            "Content-Type": 'multipart/alternative; boundary="----=_NextPart_000_000C_01DCAA12.0FC0D2E0"',
        },
        "------=_NextPart_000_000C_01DCAA12.0FC0D2E0\nContent-Type: text/plain; charset=utf-8\n\nSee "
        "you at ten.\n"
        "------=_NextPart_000_000C_01DCAA12.0FC0D2E0\nContent-Type: text/html; charset=utf-8\n\n"
        "<html><body><p>See you at ten.</p></body></html>\n------=_NextPart_000_000C_01DCAA12.0FC0D2E0--",
    ),
    "exchange": _mail(
        {
            "Message-ID": "<AM0PR01MB4567ABCDEF@AM0PR01MB4567.eurprd01.prod.exchangelabs.com>",
            "Content-Type": 'multipart/alternative; boundary="_000_AM0PR01MB4567_"',
        },
        "--_000_AM0PR01MB4567_\nContent-Type: text/plain; charset=utf-8\n\nSee you at ten.\n"
        "--_000_AM0PR01MB4567_\nContent-Type: text/html; charset=utf-8\n\n"
        "<html><body><p>See you at ten.</p></body></html>\n--_000_AM0PR01MB4567_--",
    ),
    "phone": _mail(
        {"X-Mailer": "iPhone Mail (21E219)", "Content-Transfer-Encoding": "quoted-printable"},
        "OK=20\n\nSent from my iPhone",
    ),
    "verify-address": _mail(
        {"From": "Code Site <noreply@code.example>", "Subject": "Verify your email address"},
        "Hi aberg,\n\nthanks for signing up. Please verify your email address to complete your "
        "registration:\n"
        "https://code.example/verify/8f7e4f0a\n\nThe link is valid for 24 hours.",
    ),
    "subscription-ends": _mail(
        {"From": "Journal <service@journal.example>", "Subject": "Your subscription will expire soon"},
        "Dear Ms Berg,\n\nyour subscription will expire on 31 March. If you want to go on reading, "
        "renew it now at\n"
        "https://www.journal.example/renew\n\nYour subscription team",
    ),
    "quota-of-ones-own": _mail(
        {"From": "Mail System <postmaster@uni.example>", "Subject": "Your mailbox is almost full"},
        "Dear user,\n\nyour mailbox has reached 95 % of its quota of 10 GB. When it is full you can "
        "receive no mail. Please\n"
        "delete what you do not need. How to: https://www.uni.example/it/quota",
    ),
    "password-of-ones-own": _mail(
        {"From": "Uni Accounts <accounts@uni.example>", "Subject": "Your password expires in 14 days"},
        "Dear Anna Berg,\n\nyour password expires on 16 March. Please change it before at\n"
        "https://accounts.uni.example/password\n\nYour IT service",
    ),
    "quarantine-digest": _mail(
        {"From": "Postmaster <postmaster@mx.uni.example>", "Subject": "Mail that was kept from you"},
        "Dear administrator,\n\n7 messages were held in quarantine yesterday. To release one, answer "
        "this mail with its id.\n",
    ),
    "parcel-from-the-carrier": _mail(
        {"From": "DHL Paket <noreply@dhl.de>", "Subject": "Ihre Sendung liegt in der Filiale"},
        "Guten Tag Frau Berg,\n\nIhre Sendung konnte nicht zugestellt werden. Sie liegt bis 9. März "
        "in der Filiale Hauptstr. 1.\n"
        "https://www.dhl.de/sendung?id=4711\n\nIhr DHL Team",
    ),
    "receipt": _mail(
        {"From": "PayPal <service@paypal.de>", "Subject": "Ihre Zahlung an Shop"},
        "Hallo Anna Berg,\n\nSie haben 12,50 EUR an Shop gesendet. Die Details finden Sie in Ihrem "
        "PayPal-Konto:\n"
        "https://www.paypal.com/activity",
    ),
    "sale": _mail(
        {
            "From": "Fashion Outlet <news@mail.outlet.example>",
            "Subject": "Sale! Up to 70% off, only until Sunday",
            "List-Unsubscribe": "<https://mail.outlet.example/u/1>, <mailto:u@mail.outlet.example>",
            "Content-Type": 'text/html; charset="utf-8"',
        },
        "<html><body><center><a href='https://mail.outlet.example/1'><img "
        "src='https://mail.outlet.example/1.jpg'></a>\n"
        "<h1 style='font-size:48px;color:#ff0000'>SALE</h1><p>Save up to 70% on dresses. Free "
        "shipping. Shop now while stocks last!\n"
        "<a href='https://mail.outlet.example/2'>Click here</a></p><p>You are receiving this because "
        "you signed up.\n"
        "<a href='https://mail.outlet.example/u/1'>Unsubscribe</a></p></center></body></html>",
    ),
    "job-offer": _mail(
        {"From": "Career Center <jobs@uni.example>", "Subject": "Student jobs: 15 EUR per hour"},
        "Dear students,\n\nthe library looks for help, part time, 15 EUR per hour. No experience "
        "required. Apply now at\n"
        "https://jobs.uni.example/4711",
    ),
    "fraud-office": _mail(
        {"From": "Finance <finance@uni.example>", "Subject": "Bank details of suppliers"},
        "Dear all,\n\nthe bank details of a supplier have changed. Please never change bank details "
        "by mail alone, call the supplier.\n",
    ),
    "school-photos": _mail(
        {
            "From": "Photo Share <share@photos.example>",
            "Subject": "Bruno shared an album with you",
            "Content-Type": "text/html; charset=utf-8",
        },
        "<html><body><p>Bruno Holm shared 12 photos with you.</p><a "
        "href='https://photos.example/a/8f7e4f0a1234567890abcdef'>View"
        " album</a></body></html>",
    ),
}
