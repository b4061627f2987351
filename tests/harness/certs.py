"""Certificates of clients for scenarios: from the exchange, and from CAs that openssl plays."""
import datetime
import pathlib
import subprocess

import grpc

from harness.members import ALL_RIGHTS, Member

CA_CONFIG = """
[ca]
default_ca = this
[this]
new_certs_dir = {dir}
database = {dir}/index.txt
serial = {dir}/serial
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[client]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = clientAuth
"""


def openssl(*words):
    result = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


class Pair:
    """A certificate and its key, as files and as bytes."""

    def __init__(self, cert_file, key_file):
        self.cert_file, self.key_file = pathlib.Path(cert_file), pathlib.Path(key_file)

    @property
    def cert(self):
        return self.cert_file.read_bytes()

    @property
    def key(self):
        return self.key_file.read_bytes()

    @property
    def fingerprint(self):
        text = openssl("x509", "-in", self.cert_file, "-noout", "-fingerprint", "-sha256")
        return text.split("=")[1].strip().replace(":", "").lower()


class ForeignCA:
    """A CA that is not the exchange's."""

    def __init__(self, folder, name="Foreign CA"):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True)
        self.cert_file, self.key_file = self.dir / "ca.pem", self.dir / "ca-key.pem"
        (self.dir / "index.txt").touch()
        (self.dir / "serial").write_text("1000\n")
        (self.dir / "ca.cnf").write_text(CA_CONFIG.format(dir=self.dir))
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30, "-subj",
                f"/CN={name}", "-keyout", self.key_file, "-out", self.cert_file)

    def issue(self, name, seconds=3600):
        """A client's certificate that ends so many seconds from now."""
        now = datetime.datetime.now(datetime.timezone.utc)
        times = [(now + datetime.timedelta(seconds=s)).strftime("%Y%m%d%H%M%SZ") for s in (min(-60, seconds - 60), seconds)]
        key, request, cert = (self.dir / f"{name}{end}" for end in ("-key.pem", ".csr", ".pem"))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", key, "-out", request)
        openssl("ca", "-batch", "-notext", "-config", self.dir / "ca.cnf", "-cert", self.cert_file, "-keyfile",
                self.key_file, "-extensions", "client", "-startdate", times[0], "-enddate", times[1], "-in", request,
                "-out", cert)
        return Pair(cert, key)


def channel_with(exchange, pair, port=None):
    """A channel that shows a certificate (None: none)."""
    ca = exchange.ca_file.read_bytes()
    credentials = grpc.ssl_channel_credentials(ca, pair.key if pair else None, pair.cert if pair else None)
    return grpc.secure_channel(f"127.0.0.1:{port or exchange.grpc_port}", credentials)


class CertMember(Member):
    """A member that its certificate alone makes known, or with metadata both."""

    def __init__(self, exchange, pair, net_id, tenant_id="", port=None, metadata=()):
        self.exchange, self.pb, self.pair = exchange, exchange.pb, pair
        self.net_id, self.tenant_id, self.cluster_id = net_id, tenant_id, ""
        self.channel, self.metadata = channel_with(exchange, pair, port), metadata
        self.policies = self.pb.routing1.PolicyManagerStub(self.channel)
        self.forwarder = self.pb.routing1.ForwarderDataStub(self.channel)
        self.home = self.pb.routing1.HomeNetworkDataStub(self.channel)


class Certificates:
    """The administrator's view of client certificates."""

    def __init__(self, admin, folder):
        self.admin, self.pb, self.folder, self.count = admin, admin.pb.lpx_iam, pathlib.Path(folder), 0
        self.stub = self.pb.ClientCertificatesStub(admin.channel)

    def issue(self, net_id, rights=ALL_RIGHTS, **fields):
        request = self.pb.IssueCertificateRequest(net_id=net_id, rights=list(rights), **fields)
        made = self.stub.IssueCertificate(request, metadata=self.admin.metadata)
        self.count += 1
        pair = Pair(self.folder / f"issued-{self.count}.pem", self.folder / f"issued-{self.count}-key.pem")
        pair.cert_file.write_text(made.certificate_pem)
        pair.key_file.write_text(made.key_pem)
        assert made.certificate.fingerprint == pair.fingerprint
        return pair

    def register(self, pair, net_id, rights=ALL_RIGHTS, **fields):
        request = self.pb.RegisterCertificateRequest(certificate_pem=pair.cert, net_id=net_id, rights=list(rights), **fields)
        return self.stub.RegisterCertificate(request, metadata=self.admin.metadata).certificate

    def revoke(self, pair):
        self.stub.RevokeCertificate(self.pb.RevokeCertificateRequest(fingerprint=pair.fingerprint),
                                    metadata=self.admin.metadata)

    def find(self, pair):
        answer = self.stub.ListCertificates(self.pb.ListCertificatesRequest(with_revoked=True, limit=1000),
                                            metadata=self.admin.metadata)
        return next(c for c in answer.certificates if c.fingerprint == pair.fingerprint)
