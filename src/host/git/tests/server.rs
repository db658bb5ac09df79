//! A real `sshd` on a loopback port, with keys of its own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::secret::Secret;

/// It ends with the value.
pub struct Server {
    folder: tempfile::TempDir,
    child: Child,
    pub port: u16,
}

impl Server {
    /// Starts one that lets in whoever has one of its client keys.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, kind) in
            [("host", "ed25519"), ("other", "ed25519"), ("ed25519", "ed25519"), ("ecdsa", "ecdsa"), ("rsa", "rsa")]
        {
            generate(&at(name), kind, &[]);
        }
        generate(&at("pem"), "rsa", &["-m", "PEM"]);
        generate(&at("pkcs8"), "ecdsa", &["-m", "PKCS8"]);
        let allowed: String = ["ed25519", "ecdsa", "rsa", "pem", "pkcs8"]
            .iter()
            .map(|name| fs::read_to_string(at(name).with_extension("pub")).unwrap())
            .collect();
        fs::write(at("authorized_keys"), allowed).unwrap();
        fs::create_dir_all("/run/sshd").ok();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let lines = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nMaxStartups 100\n",
            at("host").display(),
            at("authorized_keys").display()
        );
        fs::write(at("config"), lines).unwrap();
        let program = ["/usr/sbin/sshd", "/usr/bin/sshd"].into_iter().find(|path| Path::new(path).exists()).unwrap();
        let child = Command::new(program)
            .args(["-D", "-f", at("config").to_str().unwrap(), "-E", at("log").to_str().unwrap()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { folder, child, port };
        let limit = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < limit, "sshd did not start: {}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn key(&self, name: &str) -> Secret {
        Secret::new(fs::read(self.at(name)).unwrap())
    }

    pub fn public(&self, name: &str) -> String {
        fs::read_to_string(self.at(name).with_extension("pub")).unwrap().trim().to_owned()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    pub fn url(&self, repository: &Path) -> String {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        format!("ssh://{}@127.0.0.1:{}{}", String::from_utf8(user).unwrap().trim(), self.port, repository.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn generate(path: &Path, kind: &str, more: &[&str]) {
    let status =
        Command::new("ssh-keygen").args(["-q", "-N", "", "-t", kind, "-f", path.to_str().unwrap()]).args(more).status().unwrap();
    assert!(status.success());
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
