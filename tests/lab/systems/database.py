"""A managed PostgreSQL: a server on a machine of its own that nobody logs in to, with TLS, and a root user who is no superuser."""

from typing import Dict, Optional

from instance.lab import Lab
from instance.machine import Machine
from scenario import QUICK

# As RDS calls it by default, and as little of a superuser as there.
ROOT = "administrator"
ROOT_PASSWORD = "password-of-the-root-user-6604"
_FOLDER = "/etc/postgresql/15/main"
_SETTINGS = f"""\
listen_addresses = '*'
ssl = on
ssl_cert_file = '{_FOLDER}/server.pem'
ssl_key_file = '{_FOLDER}/server.key'
"""
# Whoever does not encrypt is not let in.
_WHO = "local all postgres peer\nhostssl all all all scram-sha-256\n"
_CERTIFICATES = """\
set -e
cd {folder}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -batch -days 2 -subj '/CN=authority of the database' \\
    -keyout authority.key -out authority.pem
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -batch -subj /CN=database -keyout server.key -out server.csr
echo 'subjectAltName=IP:{address}' > names
openssl x509 -req -days 1 -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -extfile names -out server.pem
chown postgres server.key && chmod 0600 server.key
"""


class Database:
    """The server, and what its administrator does there."""

    def __init__(self, lab: Lab):
        self.machine: Machine = lab.launch(None, files=QUICK)
        self.machine.wait()
        self.address = self.machine.address
        self._sh("apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends postgresql", timeout=600)
        self._sh(_CERTIFICATES.format(folder=_FOLDER, address=self.address))
        self.machine.exec(["tee", f"{_FOLDER}/conf.d/managed.conf"], input=_SETTINGS)
        self.machine.exec(["tee", f"{_FOLDER}/pg_hba.conf"], input=_WHO)
        self._sh("systemctl restart postgresql@15-main.service")
        rights = f"create role {ROOT} login createdb createrole nosuperuser password '{ROOT_PASSWORD}'"
        self.machine.exec(["psql", "--quiet", "--command", rights], user="postgres")

    @property
    def authority(self) -> str:
        """The certificate of the authority that vouches for the server."""
        return self.machine.read(f"{_FOLDER}/authority.pem")

    def file(self, sql: str, environment: Dict[str, str], **variables: str) -> None:
        """Carries out a file of SQL as the root user, over the network, as an administrator does."""
        words = [word for name, value in variables.items() for word in ("--set", f"{name}={value}")]
        self._psql(sql, "postgres", *words, environment=environment)

    def ask(self, database: str, sql: str) -> str:
        """What the root user is answered."""
        return self._psql(sql, database).strip()

    def _psql(self, sql: str, database: str, *words: str, environment: Optional[Dict[str, str]] = None) -> str:
        target = f"host={self.address} user={ROOT} dbname={database} sslmode=verify-full sslrootcert={_FOLDER}/authority.pem"
        known = [f"{name}={value}" for name, value in {**(environment or {}), "PGPASSWORD": ROOT_PASSWORD}.items()]
        argv = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=on", *words, target]
        return self.machine.exec(["env", *known, *argv], input=sql).stdout

    def _sh(self, script: str, timeout: float = 120) -> None:
        self.machine.exec(["sh", "-c", script], timeout=timeout)
