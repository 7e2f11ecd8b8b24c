"""A mail server for the tests: aiosmtpd, with a password, that keeps each mail as a file. mail.py PORT FOLDER [CERTIFICATE KEY]"""

import asyncio
import os
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

port, folder = int(sys.argv[1]), sys.argv[2]
context = None
if len(sys.argv) > 3:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[3], sys.argv[4])


class Keeper:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("later@"):
            return "451 4.2.1 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        name = f"{len(os.listdir(folder)):06}"
        with open(os.path.join(folder, name + ".part"), "wb") as file:
            file.write(b"Envelope-To: " + ",".join(envelope.rcpt_tos).encode() + b"\r\n" + envelope.content)
        os.rename(os.path.join(folder, name + ".part"), os.path.join(folder, name + ".eml"))
        return "250 kept"


def known(server, session, envelope, mechanism, data):
    fine = isinstance(data, LoginPassword) and data.login == b"hallpass" and data.password == b"canary-mail-password"
    # A server that is careless with what it is told.
    said = "535 5.7.8 who is " + data.password.decode() + "?"
    return AuthResult(success=fine, handled=not fine and False, message=None if fine else said)


controller = Controller(
    Keeper(),
    hostname="127.0.0.1",
    port=port,
    auth_required=True,
    auth_require_tls=False,
    authenticator=known,
    tls_context=context,
    require_starttls=context is not None,
)
controller.start()
asyncio.new_event_loop().run_forever()
