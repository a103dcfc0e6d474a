//! What a process supervisor does to a node: starts it, tells it to stop or to read its configuration
//! again, and waits to be told.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{PROGRAM, Serve, listen, output, run, wait_until};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The next word that the supervisor was told.
fn told(supervisor: &UnixDatagram) -> String {
    let mut message = [0; 256];
    let length = supervisor.recv(&mut message).expect("nothing was told in time");
    String::from_utf8_lossy(&message[..length]).trim().to_owned()
}

fn metrics(monitor: &str) -> String {
    let mut asked = TcpStream::connect(monitor).unwrap();
    asked.write_all(b"GET /metrics HTTP/1.1\r\nHost: n1\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    asked.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_supervisor_is_told_and_whoever_asks_a_second_time_does_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("notify");
    let supervisor = UnixDatagram::bind(&socket).unwrap();
    supervisor.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let data = dir.path().join("data");
    let [address, http, monitor] = [(); 3].map(|()| listen());
    let arguments = ["--data", text(&data), "--listen", &address];
    run(&[&["init"], &arguments[..]].concat(), "");
    let mut command = Command::new(PROGRAM);
    command.env("NOTIFY_SOCKET", &socket);
    let arguments = [&arguments[..], &["--http", &http, "--monitor", &monitor]].concat();
    let node = Serve::start_made(Stdio::inherit(), command, &arguments);
    assert_eq!(told(&supervisor), "READY=1");
    run(&["repo", "create", "r", "--timeout", "20"], &address);

    // A push that has not come yet, for which a node that stops waits.
    let mut push = TcpStream::connect(&http).unwrap();
    let head = "POST /r.git/git-receive-pack HTTP/1.1\r\nHost: n1\r\nTransfer-Encoding: chunked\r\n\
                Content-Type: application/x-git-receive-pack-request\r\n\r\n2\r\n00\r\n";
    push.write_all(head.as_bytes()).unwrap();
    wait_until("the push is under way", || {
        metrics(&monitor).contains("gitstratum_git_requests_in_flight 1\n")
    });
    node.ask_to_stop();
    assert_eq!(told(&supervisor), "STOPPING=1");
    let asked = Instant::now();
    node.ask_to_stop();
    let status = node.ended();
    assert_eq!(status.code(), Some(1), "it gave up what was under way: {status:?}");
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[test]
fn an_error_that_a_node_repeats_is_written_a_few_times_and_then_counted() {
    let dir = tempfile::tempdir().unwrap();
    let [data, config, log] = ["data", "node.toml", "log"].map(|name| dir.path().join(name));
    let [address, monitor] = [(); 2].map(|()| listen());
    let good = format!(
        "listen = {address:?}\ndata = {data:?}\n[monitor]\nlisten = {monitor:?}\n[log]\nlevels = \"warn\"\n"
    );
    fs::write(&config, good).unwrap();
    run(&["init", "--config", text(&config)], "");
    let stderr = File::create(&log).unwrap();
    let arguments = ["--config", text(&config)];
    let node = Serve::start_made(stderr.into(), Command::new(PROGRAM), &arguments);
    fs::write(&config, "listen = 5\n").unwrap();
    let held_back = || {
        let text = metrics(&monitor);
        let count = text
            .lines()
            .find_map(|line| line.strip_prefix("gitstratum_log_lines_suppressed_total "));
        count.expect("it is counted").parse::<u64>().unwrap()
    };
    // A signal that comes while another waits to be dealt with is none of its own.
    wait_until("repeats are held back", || {
        node.hang_up();
        held_back() >= 20
    });
    let held_back = held_back();
    node.terminate();
    let logged = fs::read_to_string(&log).unwrap();
    let (told, written): (Vec<_>, Vec<_>) = logged
        .lines()
        .filter(|line| line.contains("SIGHUP: refused"))
        .partition(|line| line.contains("more like this within"));
    assert_eq!(written.len(), 5, "{logged}");
    let counted = told.iter().map(|line| {
        let count = line.split("held_back=").nth(1).and_then(|rest| rest.split(' ').next());
        count.unwrap().parse::<u64>().unwrap()
    });
    assert!(counted.sum::<u64>() >= held_back, "what was held back is said: {logged}");
}

#[test]
fn a_configuration_that_is_read_again_says_what_counts_now_and_what_from_the_next_start_on() {
    let dir = tempfile::tempdir().unwrap();
    let [data, config, log] = ["data", "node.toml", "log"].map(|name| dir.path().join(name));
    let address = listen();
    let port = address.rsplit_once(':').unwrap().1;
    // As a package has it: it describes no cluster, and listens everywhere.
    let with = |more: &str| {
        let listen = format!("listen = \"0.0.0.0:{port}\"\ndata = {data:?}\n{more}");
        fs::write(&config, listen).unwrap();
    };
    with("[log]\nlevels = \"warn\"\n");
    run(&["init", "--config", text(&config), "--address", &address], "");
    let stderr = File::create(&log).unwrap();
    let arguments = ["--config", text(&config)];
    let node = Serve::start_made(stderr.into(), Command::new(PROGRAM), &arguments);
    let logged = |words: &str| {
        let log = fs::read_to_string(&log).unwrap();
        log.lines().find(|line| line.contains(words)).map(str::to_owned)
    };
    let wait_for = |words: &str| {
        wait_until(words, || logged(words).is_some());
        logged(words).unwrap()
    };
    assert_eq!(logged("serving"), None, "that is no warning");

    with("[log]\nlevels = \"loud\"\n");
    node.hang_up();
    wait_for("log.levels: \"loud\" is no level");
    with(
        "[log]\nlevels = \"info\"\n[store]\nfsync = \"never\"\n[monitor]\nlisten = \"127.0.0.1:1\"\n",
    );
    node.hang_up();
    // It would not be there without the other levels.
    wait_for("the layout stays as it is");
    let line = wait_for("counts from the next start on");
    assert!(line.contains("monitor.listen, store.fsync"), "{line}");
    node.terminate();

    let wrong = output(&["serve", "--config", text(&config), "--log-level", "loud"], "");
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    with("[log]\nlevels = \"loud\"\n");
    let wrong = output(&["serve", "--config", text(&config)], "");
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.contains("node.toml:4: log.levels: \"loud\" is no level"), "{said}");
}
