//! Git over HTTPS: stock git by HTTP/2, certificates that clients do not take, and those that change.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};

use crate::support::{Dev, Serve, listen, make_repository, output, run, wait_until};

/// What git came to, which trusts the authorities of this file.
fn git(dir: &Path, trusted: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("git");
    command.current_dir(dir).args(arguments).stdin(Stdio::null());
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_SSL_CAINFO", trusted);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), text)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn stock_git_pushes_and_clones_over_https_by_http_2() {
    let dir = tempfile::tempdir().unwrap();
    let (data, work) = (dir.path().join("data"), dir.path().join("work"));
    make_repository(&work, 40);
    let mut dev = Dev::start_with(&data, &["--secure"]);
    dev.wait_for_line("Git clients need an access token");
    let authority = data.join("certificates/authority.pem");
    let secret = fs::read_to_string(data.join("token")).unwrap();
    let url = |node: usize| {
        let user = format!("https://x:{}@", secret.trim());
        format!("{}project.git", dev.nodes[node].git.replacen("https://", &user, 1))
    };
    let (is_ok, said) = git(&work, &authority, &["push", "-q", &url(0), "main"]);
    assert!(is_ok, "{said}");
    let (is_ok, said) = git(
        &work,
        &authority,
        &["-c", "http.version=HTTP/1.1", "clone", "-q", "--bare", &url(1), "../one"],
    );
    assert!(is_ok, "{said}");
    let mut verbose = Command::new("git");
    verbose.current_dir(dir.path()).args(["clone", "-q", "--bare", &url(2), "two"]);
    verbose.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_SSL_CAINFO", &authority);
    let verbose = verbose.env("GIT_CURL_VERBOSE", "1").output().unwrap();
    let said = String::from_utf8_lossy(&verbose.stderr).into_owned();
    assert!(verbose.status.success() && said.contains("HTTP/2 200"), "{said}");
    for clone in ["one", "two"] {
        let clone = dir.path().join(clone);
        let (is_ok, said) = git(&clone, &authority, &["fsck", "--full"]);
        assert!(is_ok, "{said}");
        let head = |at: &Path| git(at, &authority, &["rev-parse", "main"]).1;
        assert_eq!(head(&clone), head(&work));
    }
    // Whoever speaks plain HTTP there is told so, in plain HTTP.
    let address = dev.nodes[0].git.trim_start_matches("https://").trim_end_matches('/');
    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(b"GET /project.git/info/refs HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("https://"), "{answer}");
    for node in &dev.nodes {
        let log = fs::read_to_string(node.dir.join("log")).unwrap();
        assert!(!log.contains(secret.trim()) && !log.contains("about to expire"), "{log}");
    }
    let key = data.join("certificates/127.0.0.1.key");
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    dev.terminate();
}

/// A node with a certificate of an authority of its own.
struct Door {
    dir: tempfile::TempDir,
    url: String,
    log: PathBuf,
    config: PathBuf,
}

impl Door {
    /// With the files of a certificate that is made for these names.
    fn new(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let door = Door {
            url: String::new(),
            log: dir.path().join("log"),
            config: dir.path().join("node.toml"),
            dir,
        };
        door.make("ours", names);
        let http = listen();
        let config = format!(
            "listen = \"{}\"\ndata = \"{}\"\n[http]\nlisten = \"{http}\"\ncreate_on_push = true\n\
             certificate = \"{}\"\nkey = \"{}\"\n",
            listen(),
            text(&door.path("data")),
            text(&door.path("git.pem")),
            text(&door.path("git.key")),
        );
        fs::write(&door.config, config).unwrap();
        Door { url: format!("https://{http}/project.git"), ..door }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a certificate by an authority of that name, and puts it in place.
    fn make(&self, authority: &str, names: &[&str]) {
        let at = self.path(authority);
        if !at.exists() {
            run(&["cert", "init", "--dir", text(&at), "--name", authority], "");
        }
        let made = run(&[&["cert", "issue", "--dir", text(&at)], names].concat(), "");
        let files: Vec<&str> = made.lines().collect();
        fs::copy(files[0], self.path("git.pem")).unwrap();
        fs::copy(files[1], self.path("git.key")).unwrap();
    }

    /// Puts a certificate in place that has expired long ago.
    fn make_expired(&self, authority: &str) {
        let read = |name: &str| fs::read_to_string(self.path(authority).join(name)).unwrap();
        let signing = KeyPair::from_pem(&read("authority.key")).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&read("authority.pem"), signing).unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        (params.not_before, params.not_after) =
            (date_time_ymd(2001, 1, 1), date_time_ymd(2001, 2, 3));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        fs::write(self.path("git.pem"), certificate.pem()).unwrap();
        fs::write(self.path("git.key"), key.serialize_pem()).unwrap();
    }

    fn start(&self) -> Serve {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        Serve::start_logging(log.into(), &["--config", text(&self.config)])
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn ls_remote(&self, trusted: &Path) -> (bool, String) {
        git(self.dir.path(), trusted, &["ls-remote", &self.url])
    }
}

#[test]
fn why_a_certificate_is_not_taken_is_told_apart_by_the_client_and_in_the_log() {
    let door = Door::new(&["127.0.0.1"]);
    run(&["cert", "init", "--dir", text(&door.path("others"))], "");
    let ours = door.path("ours/authority.pem");
    let serve = door.start();
    make_repository(&door.path("work"), 3);
    let (is_ok, said) = git(&door.path("work"), &ours, &["push", "-q", &door.url, "main"]);
    assert!(is_ok, "{said}");

    let (is_ok, unknown) = door.ls_remote(&door.path("others/authority.pem"));
    assert!(!is_ok, "{unknown}");
    // By an alert, or by going: that depends on the library that git was built with.
    wait_until("the log says that clients do not take the certificate", || {
        let log = door.log();
        log.contains("does not know the authority") || log.contains("without a word")
    });
    door.make("ours", &["another.example"]);
    let mut name = String::new();
    wait_until("the other certificate is shown", || {
        let (is_ok, said) = door.ls_remote(&ours);
        name = said;
        !is_ok
    });
    assert!(name.contains("another.example") || name.contains("does not match"), "{name}");
    assert!(unknown != name && unknown.contains("certificate"), "{unknown}");
    door.make_expired("ours");
    let mut expired = String::new();
    wait_until("the expired certificate is shown", || {
        let (is_ok, said) = door.ls_remote(&ours);
        expired = said;
        !is_ok && expired != name
    });
    // Some versions of git say of it what they say of an authority that they do not know. The node
    // knows better.
    assert!(expired.contains("certificate"), "{expired}");
    assert!(door.log().contains("the certificate for Git has expired"), "{}", door.log());
    let shown = run(&["cert", "show", text(&door.path("git.pem")), text(&ours)], "");
    assert!(shown.contains("(expired)") && shown.contains("names        127.0.0.1"), "{shown}");
    assert!(
        shown.contains("subject      CN=ours") && shown.contains("authority    yes"),
        "{shown}"
    );
    // One that is good again is taken without a restart.
    door.make("ours", &["127.0.0.1"]);
    wait_until("a good certificate is shown", || door.ls_remote(&ours).0);
    serve.terminate();
}

#[test]
fn a_certificate_that_is_replaced_fails_no_clone() {
    let door = Door::new(&["127.0.0.1"]);
    let serve = door.start();
    make_repository(&door.path("work"), 60);
    let (is_ok, said) = git(
        &door.path("work"),
        &door.path("ours/authority.pem"),
        &["push", "-q", &door.url, "main"],
    );
    assert!(is_ok, "{said}");
    run(&["cert", "init", "--dir", text(&door.path("next")), "--name", "next"], "");
    let [ours, next] = ["ours", "next"].map(|name| door.path(name).join("authority.pem"));
    let both = [fs::read(&ours).unwrap(), fs::read(&next).unwrap()].concat();
    fs::write(door.path("both.pem"), both).unwrap();
    assert!(!door.ls_remote(&next).0);
    let stop = AtomicBool::new(false);
    let clones = std::thread::scope(|scope| {
        let cloning = scope.spawn(|| {
            let mut clones = 0;
            while !stop.load(Ordering::Relaxed) {
                let clone = format!("clone-{clones}");
                let arguments = ["clone", "-q", "--bare", &door.url, &clone];
                let (is_ok, said) = git(door.dir.path(), &door.path("both.pem"), &arguments);
                assert!(is_ok, "{said}");
                clones += 1;
            }
            clones
        });
        for authority in ["next", "ours", "next"] {
            door.make(authority, &["127.0.0.1"]);
            let trusted = door.path(authority).join("authority.pem");
            wait_until("the new certificate is shown", || door.ls_remote(&trusted).0);
        }
        stop.store(true, Ordering::Relaxed);
        cloning.join().unwrap()
    });
    assert!(clones > 3, "{clones}");
    // What cannot be used leaves the one that is in force, and is said.
    fs::write(door.path("git.pem"), "words").unwrap();
    wait_until("it is said", || door.log().contains("the one before stays"));
    assert!(door.ls_remote(&next).0);
    serve.terminate();
}

#[test]
fn files_that_cannot_be_used_are_refused_at_the_start_by_field_and_name() {
    let door = Door::new(&["127.0.0.1"]);
    door.start().terminate();
    let refused = |expected: &str| {
        let refused = output(&["serve", "--config", text(&door.config)], "");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && said.contains(expected), "{said}");
    };
    let key = door.path("git.key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    refused(&format!("http.key: {}: everybody on this machine may read it", text(&key)));
    fs::remove_file(&key).unwrap();
    refused(&format!("http.key: {}: No such file", text(&key)));
    fs::write(door.path("git.pem"), "").unwrap();
    refused(&format!("http.certificate: {}: there is no certificate", text(&door.path("git.pem"))));
    // One that is about to expire is said at the start.
    let at = door.path("ours");
    let made = run(&["cert", "issue", "--dir", text(&at), "--days", "10", "127.0.0.1"], "");
    let files: Vec<&str> = made.lines().collect();
    fs::copy(files[0], door.path("git.pem")).unwrap();
    fs::copy(files[1], &key).unwrap();
    door.start().terminate();
    assert!(door.log().contains("is about to expire"), "{}", door.log());
    let again = output(&["cert", "init", "--dir", text(&at)], "");
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.status.code() == Some(1) && said.contains("is there already"), "{said}");
}
