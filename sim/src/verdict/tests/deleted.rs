//! Objects that were to be deleted: they need not be there, and must not come back.

use super::*;

impl Trace {
    fn condemn(&mut self, deletion: u32, ids: &[&str]) -> &mut Self {
        self.add("world", Event::Condemned { deletion, ids: text(ids) })
    }

    fn delete(&mut self, node: &str, deletion: u32, objects: u64) -> &mut Self {
        self.add(node, Event::Deleted { deletion, objects })
    }

    /// As if each object had its replica on n1 alone.
    fn alone(&mut self) -> &mut Self {
        self.set(|setting| {
            (setting.replicas, setting.write_quorum, setting.read_quorum) = (1, 1, 1)
        });
        for record in &mut self.records {
            if let Event::OpStarted { objects, .. } = &mut record.event {
                objects[0].replicas = text(&["n1"]);
                (objects[0].write_quorum, objects[0].read_quorum) = (1, 1);
            }
        }
        self
    }
}

#[test]
fn what_was_to_be_deleted_need_not_be_there() {
    let mut trace = Trace::begin();
    trace.put("a", acked(ALL)).condemn(0, &["a"]);
    for node in ALL {
        trace.delete(node, 0, 1);
    }
    trace.get("a", not_found(ALL)).inspect("a", &[], not_found(ALL)).end();
    assert_eq!(trace.rules(), Vec::<&str>::new());
}

#[test]
fn what_nobody_was_to_delete_must_be_there() {
    let mut trace = Trace::begin();
    trace.put("a", acked(ALL)).put("b", acked(ALL)).condemn(0, &["a"]);
    trace.get("b", not_found(ALL)).inspect("a", &[], not_found(ALL));
    trace.inspect("b", &[], not_found(ALL)).end();
    let rules = ["I1 durable", "I4 truthful", "I3 visible"];
    assert!(rules.iter().all(|rule| trace.rules().contains(rule)), "{:?}", trace.rules());
}

#[test]
fn not_found_before_it_was_to_be_deleted_is_not_visible() {
    let mut trace = Trace::begin();
    trace.put("a", acked(ALL)).get("a", not_found(ALL)).condemn(0, &["a"]);
    trace.delete("n1", 0, 1).inspect("a", &[], not_found(ALL)).end();
    assert_eq!(trace.rules(), ["I3 visible"]);
}

#[test]
fn what_its_only_replica_deleted_must_not_come_back() {
    let begun = || {
        let mut trace = Trace::begin();
        trace.put("a", acked(&["n1"])).condemn(0, &["a"]);
        trace
    };
    let mut trace = begun();
    trace.delete("n1", 0, 1).inspect("a", &["n1"], found()).end().alone();
    assert_eq!(trace.rules(), ["deleted stays deleted"]);
    let mut trace = begun();
    trace.delete("n1", 0, 1).get("a", found()).end().alone();
    assert!(trace.rules().contains(&"deleted stays deleted"), "{:?}", trace.rules());
    let mut trace = begun();
    let reason = "the process is gone".to_owned();
    trace.add("n1", Event::NotDeleted { deletion: 0, reason }).delete("n2", 0, 0);
    trace.get("a", found()).inspect("a", &["n1"], found()).end().alone();
    assert_eq!(trace.rules(), Vec::<&str>::new(), "nobody said that it was gone");
}

#[test]
fn what_is_put_again_after_it_was_deleted_must_be_there() {
    let with = |holders: &[&str], outcome: Outcome| {
        let mut trace = Trace::begin();
        trace.put("a", acked(&["n1"])).condemn(0, &["a"]).delete("n1", 0, 1);
        trace.put("a", acked(&["n1"])).inspect("a", holders, outcome).end().alone();
        trace.rules()
    };
    assert_eq!(with(&["n1"], found()), Vec::<&str>::new());
    let lost = with(&[], not_found(&["n1"]));
    assert!(lost.contains(&"I1 durable"), "{lost:?}");

    let mut trace = Trace::begin();
    trace.put("a", acked(&["n1"])).condemn(0, &["a"]).delete("n1", 0, 1);
    trace.put("a", acked(&["n1"])).get("a", not_found(&["n1"]));
    trace.inspect("a", &["n1"], found()).end().alone();
    assert_eq!(trace.rules(), ["I3 visible"]);
}
