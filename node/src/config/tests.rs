//! What the operator reads when a configuration is wrong, and what a right one means.

use std::time::Duration;

use gitstratum_cluster::transport::PoolOptions;
use gitstratum_store::Fsync;

use super::*;

const EXAMPLE: &str = include_str!("../../config.example.toml");

fn load(text: &str) -> Result<LoadedConfig, ConfigError> {
    Config::from_toml(text, "config.toml", ConfigOverrides::default())
}

/// The example with `from` replaced by `to` is refused with this line.
#[track_caller]
fn refused(from: &str, to: &str, expected: &str) {
    assert!(EXAMPLE.contains(from), "the example has no {from:?}");
    let error = load(&EXAMPLE.replacen(from, to, 1)).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

fn flags(listen: &str) -> ConfigOverrides {
    let listen = Some(listen.parse().unwrap());
    ConfigOverrides { data: Some("d".into()), listen, ..ConfigOverrides::default() }
}

#[test]
fn the_example_is_right_and_means_what_its_comments_say() {
    let LoadedConfig { config, data } = load(EXAMPLE).unwrap();
    assert_eq!(data, Path::new("/var/lib/gitstratum"));
    assert_eq!(config.node_id.as_str(), "n1");
    assert_eq!(config.store, StoreConfig::default());
    assert_eq!(config.repair, RepairConfig::default());
    assert_eq!(config.listen, "0.0.0.0:7400".parse().unwrap());
    let layout = &config.layout;
    assert_eq!((layout.replicas, layout.write_quorum, layout.read_quorum), (3, 2, 2));
    assert_eq!(layout.members.len(), 3);
    assert_eq!(layout.members[2].zone, "rack-3");
    assert_eq!(layout.members[2].weight, 1);
}

#[test]
fn a_wrong_value_is_refused_with_its_line_and_field() {
    refused(
        "write_quorum = 2",
        "write_quorum = 4",
        "config.toml:42: cluster.write_quorum: 4 exceeds cluster.replicas (3)",
    );
    refused(
        "id = \"n3\"",
        "id = \"n2\"",
        "config.toml:66: node[2].id: \"n2\" is already the id of node[1]",
    );
    refused(
        "weight = 1",
        "weight = 0",
        "config.toml:58: node[0].weight: 0 is not between 1 and 100",
    );
    refused(
        "listen = \"0.0.0.0:7400\"",
        "listen = \"0.0.0.0\"",
        "config.toml:8: listen: \"0.0.0.0\" is not IP:PORT",
    );
    refused(
        "node_id = \"n1\"",
        "node_id = \"n4\"",
        "config.toml:5: node_id: n4 is none of the [[node]]s: n1, n2, n3",
    );
}

#[test]
fn an_unknown_missing_or_mistyped_field_is_refused_by_name() {
    refused(
        "write_quorum = 2",
        "write_quorum = \"2\"",
        "config.toml:42: cluster.write_quorum: invalid type: string \"2\", expected usize",
    );
    refused(
        "write_quorum = 2",
        "write_qorum = 2",
        "config.toml:42: cluster.write_qorum: unknown field `write_qorum`, expected one of \
         `id`, `version`, `replicas`, `write_quorum`, `read_quorum`, `settled`",
    );
    refused("write_quorum = 2", "", "config.toml:35: cluster: missing field `write_quorum`");
    refused(
        "version = 1",
        "version = -1",
        "config.toml:37: cluster.version: invalid value: integer `-1`, expected u64",
    );
    refused(
        "address = \"n2",
        "adress = \"n2",
        "config.toml:62: node[1].adress: unknown field `adress`, expected one of `id`, `address`, \
         `zone`, `weight`, `state`",
    );
    refused(
        "\n[cluster]\n",
        "\n[clutser]\n",
        "config.toml:35: clutser: unknown field `clutser`, expected one of `node_id`, `listen`, \
         `data`, `store`, `pool`, `repair`, `catalog`, `http`, `monitor`, `access`, `tls`, `log`, \
         `traces`, `layout`, `cluster`, `node`",
    );
    refused(
        "fsync = \"always\"",
        "fsync = \"often\"",
        "config.toml:19: store.fsync: \"often\" is none of \"always\", \"never\" and an interval \
         from \"1ms\" to \"60s\"",
    );
    refused(
        "compact_garbage_share = 0.5",
        "compact_garbage_share = 5",
        "config.toml:25: store.compact_garbage_share: 5 is not between 0.05 and 1",
    );
    refused(
        "segment_bytes = 1_073_741_824",
        "segment_bytes = 1_073_741_825",
        "config.toml:31: store.segment_bytes: 1073741825 is not between 65536 and 1073741824",
    );
    refused(
        "max_age_s = 300",
        "max_age_s = nan",
        "config.toml:88: pool.max_age_s: NaN is not between 0.1 and 86400 seconds",
    );
}

#[test]
fn what_the_example_calls_defaults_are_the_defaults() {
    let loaded = load(EXAMPLE).unwrap();
    assert_eq!(loaded.config.store, StoreConfig::default());
    assert_eq!(loaded.config.pool, PoolConfig::default());
    assert_eq!(loaded.config.pool.options(), PoolOptions::default());
}

#[test]
fn an_interval_between_syncs_is_read_and_written() {
    for (text, ms) in [("20ms", 20), ("2s", 2000)] {
        let text = EXAMPLE.replace("fsync = \"always\"", &format!("fsync = \"{text}\""));
        let loaded = load(&text).unwrap();
        assert_eq!(loaded.config.store.fsync, Fsync::Every(Duration::from_millis(ms)));
        let again = load(&loaded.to_toml().unwrap()).unwrap();
        assert_eq!(again.config.store, loaded.config.store);
    }
}

#[test]
fn what_is_missing_at_the_top_is_named() {
    refused(
        "node_id = \"n1\"",
        "",
        "config.toml: node_id: missing: which of the [[node]]s is this one?",
    );
    refused(
        "listen = \"0.0.0.0:7400\"",
        "",
        "config.toml: listen: missing: IP:PORT, such as 0.0.0.0:7400",
    );
    refused(
        "data = \"/var/lib/gitstratum\"",
        "",
        "config.toml: data: where to keep data is not said; --data DIR says it",
    );
    let error = load("data = 'd'\n[[node]]\nid = 'n1'\naddress = 'a:1'").unwrap_err();
    assert_eq!(error.to_string(), "config.toml: cluster: missing beside the [[node]]s");
}

#[test]
fn a_text_that_is_no_toml_is_refused_with_its_line() {
    let error = load("data = 'd'\nlisten = \n").unwrap_err();
    assert!(matches!(error, ConfigError::Syntax { line: 2, .. }), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error =
        Config::load(Some(Path::new("no/such.toml")), ConfigOverrides::default()).unwrap_err();
    assert!(error.to_string().starts_with("no/such.toml: "), "{error}");
}

#[test]
fn overrides_go_before_the_file() {
    let overrides = ConfigOverrides { node_id: Some("n2".to_owned()), ..flags("127.0.0.1:9") };
    let loaded = Config::from_toml(EXAMPLE, "config.toml", overrides).unwrap();
    assert_eq!(loaded.config.node_id, NodeId::new("n2"));
    assert_eq!(loaded.config.listen, "127.0.0.1:9".parse().unwrap());
    assert_eq!(loaded.data, Path::new("d"));

    let overrides = ConfigOverrides { node_id: Some("n4".to_owned()), ..Default::default() };
    let error = Config::from_toml(EXAMPLE, "config.toml", overrides).unwrap_err();
    assert_eq!(
        error.to_string(),
        "flags or environment: node_id: n4 is none of the [[node]]s: n1, n2, n3"
    );
}

#[test]
fn without_a_file_a_node_is_alone_and_keeps_one_copy() {
    let LoadedConfig { config, .. } = Config::load(None, flags("127.0.0.1:7401")).unwrap();
    let layout = &config.layout;
    assert_eq!((layout.replicas, layout.write_quorum, layout.read_quorum), (1, 1, 1));
    assert_eq!(layout.members.len(), 1);
    assert_eq!(layout.members[0].address, "127.0.0.1:7401");
    assert_eq!(layout.members[0].node_id, config.node_id);
    assert!(config.alone && !load(EXAMPLE).unwrap().config.alone);
    assert_eq!(config.store.fsync, Fsync::Always);
}

#[test]
fn a_lone_node_is_refused_an_address_that_nobody_can_dial() {
    for listen in ["0.0.0.0:7400", "[::]:7400", "127.0.0.1:0"] {
        let error = Config::load(None, flags(listen)).unwrap_err().to_string();
        assert!(error.starts_with("flags or environment: listen: "), "{error}");
    }
}

#[test]
fn a_configuration_survives_being_written() {
    let loaded = load(EXAMPLE).unwrap();
    let again = load(&loaded.to_toml().unwrap()).unwrap();
    assert_eq!(again.config.layout, loaded.config.layout);
    assert_eq!(again.config.node_id, loaded.config.node_id);
    assert_eq!(again.config.listen, loaded.config.listen);
    assert_eq!(again.config.store, loaded.config.store);
    assert_eq!(again.config.pool, loaded.config.pool);
    assert_eq!(again.data, loaded.data);
}

#[test]
fn a_layout_stands_in_the_configuration_or_in_a_document_of_its_own() {
    let both = EXAMPLE.replacen("node_id = \"n1\"", "node_id = \"n1\"\nlayout = \"l.toml\"", 1);
    let error = load(&both).unwrap_err().to_string();
    assert!(error.contains("layout: stands beside [cluster]"), "{error}");
}

#[test]
fn bounds_of_hints_that_cannot_be_meant_are_refused() {
    for (from, to, expected) in [
        (
            "hint_bytes = 16_777_216",
            "hint_bytes = 100",
            "repair.hint_bytes: 100 is not between 4096 and 1073741824",
        ),
        (
            "operations_in_flight = 2",
            "operations_in_flight = 0",
            "repair.operations_in_flight: 0 is not between 1 and 64",
        ),
        (
            "hint_max_age_h = 72",
            "hint_max_age_h = nan",
            "repair.hint_max_age_h: NaN is not between 0.001 and 8760 hours",
        ),
    ] {
        assert!(EXAMPLE.contains(from), "the example has no {from:?}");
        let error = load(&EXAMPLE.replacen(from, to, 1)).unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
    }
}

#[test]
fn a_catalog_that_could_not_keep_a_leader_is_refused_by_name() {
    refused(
        "heartbeat_ms = 150",
        "heartbeat_ms = 5",
        "config.toml:145: catalog.heartbeat_ms: 5 is not between 10 ms and an hour",
    );
    refused(
        "election_timeout_ms = 500",
        "election_timeout_ms = 449",
        "config.toml:146: catalog.election_timeout_ms: 449 is less than three heartbeats of 150 ms",
    );
    refused(
        "snapshot_bytes = 16_777_216",
        "snapshot_bytes = 1",
        "config.toml:149: catalog.snapshot_bytes: 1 is less than 65536",
    );
    refused(
        "features_off = []",
        "features_off = [\"restor\"]",
        "config.toml:152: catalog.features_off: \"restor\" is no feature; there is \"restore\"",
    );
    let withheld = EXAMPLE.replace("features_off = []", "features_off = [\"restore\"]");
    assert!(load(&withheld).unwrap().config.catalog.program().features.is_empty());
    assert!(CatalogConfig::default().program().features.contains("restore"));
    // What the example says are the defaults.
    assert_eq!(load(EXAMPLE).unwrap().config.catalog, CatalogConfig::default());
}

#[test]
fn tokens_are_off_unless_the_file_or_a_flag_says_otherwise() {
    let access = |text: &str, overrides: ConfigOverrides| {
        let loaded = Config::from_toml(text, "config.toml", overrides).unwrap();
        assert_eq!(load(&loaded.to_toml().unwrap()).unwrap().config.access, loaded.config.access);
        loaded.config.access.tokens
    };
    let required = EXAMPLE.replacen("tokens = \"off\"", "tokens = \"required\"", 1);
    assert_ne!(required, EXAMPLE);
    assert_eq!(access("", flags("127.0.0.1:7401")), Tokens::Off);
    assert_eq!(access(EXAMPLE, ConfigOverrides::default()), Tokens::Off);
    assert_eq!(access(&required, ConfigOverrides::default()), Tokens::Required);
    let flag = ConfigOverrides { require_tokens: true, ..ConfigOverrides::default() };
    assert_eq!(access(EXAMPLE, flag), Tokens::Required);
    refused(
        "tokens = \"off\"",
        "tokens = \"maybe\"",
        "config.toml:131: access.tokens: unknown variant `maybe`, expected `off` or `required`",
    );
}

#[test]
fn what_others_can_reach_is_warned_of_and_loopback_is_not() {
    let warning = |tokens, http: &str| {
        AccessConfig { tokens, ..AccessConfig::default() }.warning(http.parse().unwrap(), false)
    };
    let with_tls = AccessConfig { tokens: Tokens::Required, ..AccessConfig::default() };
    assert_eq!(with_tls.warning("0.0.0.0:7480".parse().unwrap(), true), None);
    for http in ["0.0.0.0:7480", "10.0.0.1:7480", "[::]:7480"] {
        assert!(warning(Tokens::Off, http).unwrap().contains("tokens = \"required\""), "{http}");
        assert!(warning(Tokens::Required, http).unwrap().contains("TLS"), "{http}");
    }
    for http in ["127.0.0.1:7480", "[::1]:7480", "[::ffff:127.0.0.1]:1"] {
        assert_eq!((warning(Tokens::Off, http), warning(Tokens::Required, http)), (None, None));
    }
}

#[test]
fn tokens_of_commands_take_a_catalog_and_where_they_are_required_tls() {
    let text = |tokens: &str, more: &str| {
        format!("data = \"d\"\n[access]\ncommand_tokens = \"{tokens}\"\n{more}")
    };
    let tls = |mode: &str| {
        let files = "certificate = \"c\"\nkey = \"k\"\nauthority = \"a\"\n";
        format!("[tls]\n{files}mode = \"{mode}\"\n")
    };
    let refused = |text: String, words: &str| {
        let error = load(&text).unwrap_err().to_string();
        assert!(error.contains("access.command_tokens: ") && error.contains(words), "{error}");
    };
    refused(text("required", ""), "nodes show by certificates who they are");
    refused(text("accepted", "[catalog]\nenabled = false\n"), "see catalog.enabled");
    refused(text("maybe", ""), "expected one of `off`, `accepted`, `required`");
    let off = load(&text("off", "[catalog]\nenabled = false\n")).unwrap();
    assert_eq!(off.config.access, AccessConfig::default());
    let everywhere = "0.0.0.0:7400".parse().unwrap();
    for (tokens, tls, words) in [
        ("accepted", String::new(), Some("may do everything")),
        ("accepted", tls("accepted"), Some("may still do everything")),
        ("required", tls("accepted"), Some("access tokens may come to this address as plain text")),
        ("required", tls("required"), None),
    ] {
        let config = load(&text(tokens, &tls)).unwrap().config;
        let warning = config.tls.warning(everywhere, config.access.command_tokens);
        assert_eq!(warning.is_some(), words.is_some(), "{warning:?}");
        assert!(words.is_none_or(|words| warning.unwrap().contains(words)), "{warning:?}");
    }
}

#[test]
fn a_certificate_without_its_key_is_refused_and_so_is_a_key_without_its_certificate() {
    let door = "[http]\nlisten = \"127.0.0.1:1\"\n";
    for (line, expected) in [
        ("certificate = \"c\"", "http.key: missing beside http.certificate: the file with its key"),
        (
            "key = \"k\"",
            "http.certificate: missing beside http.key: the file with the certificate of that key",
        ),
    ] {
        let text = format!("{door}{line}\n");
        let refused = Config::from_toml(&text, "c.toml", flags("127.0.0.1:7401")).unwrap_err();
        assert!(refused.to_string().ends_with(expected), "{refused}");
    }
}

const PACKAGED: &str = include_str!("../../deploy/debian/gitstratum.toml");

/// It founds nothing: where the node is reached is said by whoever makes its directory.
#[test]
fn the_packaged_file_is_right_and_describes_no_cluster() {
    let member = |unmade| MemberOverrides { unmade, ..MemberOverrides::default() };
    let read = |member| {
        Config::member_from_toml(PACKAGED, "packaged.toml", ConfigOverrides::default(), member)
    };
    let config = read(member(true)).unwrap().config;
    assert!(config.alone);
    assert_eq!(config.access.tokens, Tokens::Required);
    let refused = read(member(false)).unwrap_err().to_string();
    assert!(refused.contains("is no address that callers could dial"), "{refused}");
}

#[test]
fn a_certificate_for_monitoring_needs_its_key_and_the_reverse() {
    for (field, missing) in [("certificate", "monitor.key"), ("key", "monitor.certificate")] {
        let error = load(&format!("data = 'd'\n[monitor]\n{field} = 'x'")).unwrap_err();
        assert!(error.to_string().contains(&format!("{missing}: missing beside")), "{error}");
    }
    let loaded = load("data = 'd'\n[monitor]\ncertificate = 'x'\nkey = 'y'").unwrap();
    assert_eq!(loaded.config.monitor.key.as_deref(), Some(Path::new("y")));
}

#[test]
fn who_is_to_reach_the_status_page_from_elsewhere_is_told_what_that_means() {
    let (here, elsewhere) = ("127.0.0.1:7490".parse().unwrap(), "0.0.0.0:7490".parse().unwrap());
    let closed = MonitorConfig::default();
    let plain = MonitorConfig { plain_tokens: true, ..closed.clone() };
    let secured = MonitorConfig { certificate: Some("x".into()), ..plain.clone() };
    for (monitor, at, asks_for_tokens, expected) in [
        (&closed, here, false, None),
        (&closed, elsewhere, false, Some("names and sizes of all repositories")),
        (&closed, elsewhere, true, None),
        (&plain, here, true, None),
        (&plain, elsewhere, true, Some("as plain text")),
        (&secured, elsewhere, true, None),
    ] {
        let said = monitor.warning(at, asks_for_tokens);
        let is_as_expected = match (said, expected) {
            (Some(said), Some(words)) => said.contains(words),
            (said, words) => said.is_none() && words.is_none(),
        };
        assert!(is_as_expected, "{monitor:?} {at} {asks_for_tokens}: {said:?}");
    }
}

#[test]
fn traces_go_to_a_collector_that_is_named_right_or_nowhere() {
    let loaded = load(EXAMPLE).unwrap();
    assert_eq!(loaded.config.traces, TracesConfig::default());
    assert_eq!(loaded.config.traces.collector(), Ok(None));
    let line = "# endpoint = \"http://127.0.0.1:4318\"";
    let with = |endpoint: &str| EXAMPLE.replacen(line, &format!("endpoint = \"{endpoint}\""), 1);
    for (endpoint, host_and_port, path) in [
        ("http://127.0.0.1:4318", "127.0.0.1:4318", "/v1/traces"),
        ("http://collector.example", "collector.example:4318", "/v1/traces"),
        ("http://[::1]:80/otlp/", "[::1]:80", "/otlp/v1/traces"),
        ("http://collector:4318/v1/traces", "collector:4318", "/v1/traces"),
    ] {
        let loaded = load(&with(endpoint)).unwrap();
        let collector = loaded.config.traces.collector().unwrap().unwrap();
        assert_eq!((&*collector.host_and_port, &*collector.path), (host_and_port, path));
        let again = load(&loaded.to_toml().unwrap()).unwrap();
        assert_eq!(again.config.traces, loaded.config.traces);
    }
    for (endpoint, problem) in [
        ("127.0.0.1:4318", "no URL such as"),
        ("http://", "no URL such as"),
        ("http://:4318", "no URL such as"),
        ("http://collector:", "no URL such as"),
        ("http://collector:0", "no URL such as"),
        ("ftp://collector:4318", "no URL such as"),
        ("https://collector:4318", "plain HTTP"),
        ("http://user:hunter2@collector:4318", "a password"),
        ("http://collector:4318/?key=hunter2", "a query"),
    ] {
        let error = load(&with(endpoint)).unwrap_err().to_string();
        assert!(error.contains("traces.endpoint: "), "{endpoint}: {error}");
        assert!(error.contains(problem) && !error.contains("hunter2"), "{endpoint}: {error}");
    }
    for sample in ["-0.1", "1.5", "nan"] {
        let error = load(&EXAMPLE.replacen("sample = 0.01", &format!("sample = {sample}"), 1));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(": traces.sample: "), "{sample}: {error}");
    }
}
