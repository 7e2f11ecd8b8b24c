#!/usr/bin/env python3
"""An example receiver for connections of the kind `webhook`: who is in which group, in an SQLite file. Standard library only.

    HALLPASS_SECRET=whsec_... python3 receiver.py access.db 8787
"""
import base64, hashlib, hmac, json, os, sqlite3, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["HALLPASS_SECRET"].removeprefix("whsec_"))

def genuine(headers, body):
    name, at = headers["webhook-id"] or "", headers["webhook-timestamp"] or "0"
    mine = base64.b64encode(hmac.new(KEY, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
    signatures = (headers["webhook-signature"] or "").split()
    return abs(time.time() - int(at)) < 300 and any(hmac.compare_digest(f"v1,{mine}", one) for one in signatures)

def answer(ask, db):
    group, account = ask["entitlement"]["group"], ask.get("account", {})
    known = db.execute("SELECT id FROM accounts WHERE name = ?", [account.get("name")]).fetchone()
    who = account.get("id") or (known and known[0])  # an id outlives renames; the name may be another's by now
    if not db.execute("SELECT 1 FROM groups WHERE name = ?", [group]).fetchone():
        return {"error": {"kind": "unknown-entitlement", "message": f"there is no group {group}"}}
    if ask["action"] == "holders":
        rows = db.execute("SELECT name, id FROM members JOIN accounts ON account = id WHERE grp = ?", [group])
        return {"holders": [{"name": name, "id": id} for name, id in rows]}
    if ask["action"] == "grant":
        if not known or known[0] != who:
            return {"error": {"kind": "unknown-account", "message": "there is no such account"}}
        db.execute("INSERT OR IGNORE INTO members VALUES (?, ?)", [group, who])
    if ask["action"] == "revoke":
        db.execute("DELETE FROM members WHERE grp = ? AND account = ?", [group, who])
    held = db.execute("SELECT 1 FROM members WHERE grp = ? AND account = ?", [group, who]).fetchone()
    return {"held": bool(held), "account_id": who}

class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if genuine(self.headers, body):
            with sqlite3.connect(sys.argv[1]) as db:
                status, said = 200, answer(json.loads(body), db)
        else:
            status, said = 401, {"message": "the signature is not ours"}
        said = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

if __name__ == "__main__":
    with sqlite3.connect(sys.argv[1]) as db:
        db.executescript("""CREATE TABLE IF NOT EXISTS accounts (id TEXT PRIMARY KEY, name TEXT UNIQUE);
                            CREATE TABLE IF NOT EXISTS groups (name TEXT PRIMARY KEY);
                            CREATE TABLE IF NOT EXISTS members (grp TEXT, account TEXT, PRIMARY KEY (grp, account));""")
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Receiver).serve_forever()
