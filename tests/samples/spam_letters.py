"""Spam and fraud of many kinds, written for the tests in the manner of what is sent today."""

from __future__ import annotations

from tests.samples.honest_letters import _mail as mail

SPAM: dict[str, bytes] = {
    "mailbox-full": mail(
        {"From": "Mail Administrator <info@bakery.example>", "Subject": "Mailbox quota warning"},
        "Dear user,\n\nyour mailbox has exceeded its storage limit. You cannot send or receive "
        "messages until you verify your\n"
        "account: https://mail-quota.web.app/login#a.berg@uni.example\n\nHelp desk",
    ),
    "password-expires": mail(
        {"From": "IT Support <x@bakery.example>", "Subject": "Password expiry notice for a.berg@uni.example"},
        "The password for a.berg@uni.example expires today. Keep the same password by clicking below:\n"
        "https://keep-pass.pages.dev/?e=a.berg@uni.example\n\nIf you fail to verify within 24 hours "
        "your account will be closed.",
    ),
    "messages-held": mail(
        {"From": "uni.example <postmaster@bakery.example>", "Subject": "You have 7 undelivered messages"},
        "7 messages were held on the server and failed to deliver to your inbox. Release pending "
        "messages here:\n"
        "https://ipfs.io/ipfs/bafy/index.html#a.berg@uni.example\n\nMailbox team",
    ),
    "brand": mail(
        {"From": "PayPal Service <notice@bakery.example>", "Subject": "Your account has been limited"},
        "Dear customer,\n\nwe noticed unusual activity on your PayPal account. Your account has been "
        "temporarily limited.\n"
        "Please verify your account information: https://paypal-secure.bakery.example/signin\n\nPayPal",
    ),
    "parcel": mail(
        {"From": "DHL Express <x@bakery.example>", "Subject": "Your parcel is on hold"},
        "Your parcel could not be delivered, since the delivery fee of 1.99 EUR is unpaid. Confirm "
        "your address and pay here:\n"
        "https://dhl-redelivery.top/p",
    ),
    "parcel-in-german": mail(
        {"From": "DHL Paket <x@bakery.example>", "Subject": "Ihr Paket wartet auf Zustellung"},
        "Sehr geehrter Kunde,\n\nIhr Paket konnte nicht zugestellt werden. Bitte zahlen Sie die "
        "Zollgebühr von 2,99 € und\n"
        "bestätigen Sie Ihre Lieferadresse innerhalb von 48 Stunden, sonst wird es zurückgesendet. "
        "Jetzt bestätigen:\n"
        "https://paket-info.top/de",
    ),
    "bank-in-german": mail(
        {"From": "Sparkasse <x@bakery.example>", "Subject": "Wichtig: Ihr Online-Banking"},
        "Sehr geehrte Kundin, sehr geehrter Kunde,\n\nIhr Konto wurde vorübergehend eingeschränkt. "
        "Bitte bestätigen Sie umgehend\n"
        "Ihre Kontodaten. Klicken Sie hier: https://s-push.bakery.example/sparkasse/login\n\nIhre Sparkasse",
    ),
    "extortion": mail(
        {"From": "Hacker <x88213@gmail.com>", "Subject": "I have your password"},
        "I have hacked your device and recorded a video of you while you visited porn sites. Send "
        "$950 in bitcoin to\n"
        "bc1qxy2kgdygjrsqtzq2n0yrf2493p83kkfjhx0wlh within 48 hours, or I send it to all your contacts.",
    ),
    "extortion-in-german": mail(
        {"Subject": "Ihr Konto wurde gehackt"},
        "Ich habe Ihr Gerät gehackt und Sie beim Masturbieren aufgenommen. Überweisen Sie 950 Euro "
        "in Bitcoin an\n"
        "bc1qxy2kgdygjrsqtzq2n0yrf2493p83kkfjhx0wlh. Sie haben 48 Stunden. Sonst geht das Video an "
        "alle Ihre Kontakte.",
    ),
    "advance-fee": mail(
        {
            "From": "Barrister John Cole <cole@bakery.example>",
            "Reply-To": "j.cole771@gmail.com",
            "Subject": "URGENT RESPONSE",
        },
        "Dear friend,\n\nthis letter may come to you as a surprise. I am the attorney of the late "
        "Mr. Berg, who died in a plane\n"
        "crash without next of kin. I want to transfer the sum of US$12,500,000 into your account. "
        "It is strictly confidential.",
    ),
    "lottery": mail(
        {
            "From": "Award Team <x@bakery.example>",
            "Reply-To": "claims.agent55@hotmail.com",
            "Subject": "YOUR EMAIL HAS WON",
        },
        "Your email address has won 1,000,000 euros in our lottery. Contact the claims agent with "
        "your full names, telephone,\n"
        "occupation and address.",
    ),
    "donation": mail(
        {
            "From": "Mrs Maria <x@bakery.example>",
            "Reply-To": "maria.foundation9@gmail.com",
            "Subject": "Donation",
        },
        "Hello dear, I am dying of cancer and have decided to donate $4,800,000 to you for charity. "
        "God bless you. Reply urgently:\n"
        "maria.foundation9@gmail.com",
    ),
    "gift-cards": mail(
        {"From": "Prof. Bruno Holm <office.head77@gmail.com>", "Subject": "Quick request"},
        "Are you available? I am in a meeting and need you to buy five Apple gift cards for our "
        "clients. Scratch the back and send\n"
        "me the codes.",
    ),
    "refund": mail(
        {"From": "Billing Dept <billing.dept8812@gmail.com>", "Subject": "Invoice NR-88213"},
        "Dear customer, your Norton subscription has been auto renewed and $399.99 was charged. If "
        "you did not authorize this\n"
        "order, call +1 (888) 555-0123 to cancel and get a full refund.",
    ),
    "crypto": mail(
        {"From": "Bitcoin Profit <x@bakery.example>", "Subject": "Your BTC balance is ready!!"},
        "Your bitcoin balance of 1.3 BTC is ready for withdrawal. The AI trading platform earns "
        "guaranteed daily profit: double your\n"
        "bitcoin. Claim your payout now: https://btc-payout.xyz/x",
    ),
    "wallet": mail(
        {"From": "MetaMask Support <x@bakery.example>", "Subject": "Your wallet will be suspended"},
        "Verify your wallet with your recovery phrase within 24 hours or it will be permanently suspended:\n"
        "https://metamask-verify.web.app/",
    ),
    "pills": mail(
        {
            "From": "Best Pills <xkvbtrzw@bakery.example>",
            "Subject": "V1agra without prescription!!",
            "Content-Type": "text/html; charset=iso-8859-1",
            "X-Mailer": "Microsoft Outlook Express 6.00.2600.0000",
        },
        "<html><body><center><font size=7 color=red>Via<!-- x -->gra, Cia<!-- y "
        "-->lis</font><br>Canadian pharmacy, no\n"
        "prescription, save up to 80%! Order now! <a href='http://192.0.2.99/p/'>CLICK "
        "HERE</a></center></body></html>",
    ),
    "bulk": mail(
        {
            "From": "Loans <jim342u47@hotmail.com>",
            "Subject": "Lowest mortgage rates          4611",
            "Date": "Mon, 2 Mar 2026 18:00:00 -1900",
            "Message-ID": "<00006250709f$000004fe$000076cd@mx09.bakery.example>",
        },
        "Dear homeowner, refinance now and save thousands! To be removed reply with REMOVE in the subject.",
    ),
    "attached-login": mail(
        {
            "From": "Accounts <x@bakery.example>",
            "Subject": "Remittance advice",
            "Content-Type": 'multipart/mixed; boundary="B"',
        },
        "--B\nContent-Type: text/plain; charset=utf-8\n\nPlease find attached the payment advice.\n"
        '--B\nContent-Type: text/html\nContent-Disposition: attachment; filename="Remittance_Advice.html"\n\n'
        "<html><body><form><input type=password></form></body></html>\n--B--",
    ),
    "document": mail(
        {"From": "DocuSign Service <x@bakery.example>", "Subject": "Completed: please review the document"},
        "You have received a secure document via DocuSign. Click here to view the document: "
        "https://doc-view.r2.dev/a.html",
    ),
    "look-alikes": mail(
        {
            "From": "Microsoft \u0410ccount team <x@bakery.example>",
            "Subject": "Your \u0430cc\u043eunt will be l\u043ecked",
        },
        "Please verify your account within 24 hours or it will be locked: "
        "https://bakery.example/wp-includes/ms/login.php",
    ),
}
