//! Abridged lists: of many things that are alike a few, and how many more there are.
//!
//! Lines are alike that differ in words with a digit alone: ids, offsets, sizes, and the names of
//! files that are numbered.

use std::collections::BTreeMap;
use std::fmt::Display;

/// Things that are alike and shown.
const EXAMPLES: usize = 3;

/// Things that are alike.
#[derive(Default)]
struct Kind {
    examples: Vec<String>,
    count: usize,
}

impl Kind {
    fn add(&mut self, thing: impl Into<String>) {
        self.count += 1;
        // One more than are shown with a count: it would take its place.
        if self.examples.len() <= EXAMPLES {
            self.examples.push(thing.into());
        }
    }

    /// All of them where they are few, else the first and how many more there are.
    fn shown(self) -> Vec<String> {
        let Kind { mut examples, count } = self;
        if count > examples.len() {
            examples.truncate(EXAMPLES);
            examples.push(format!("and {} more like these", count - EXAMPLES));
        }
        examples
    }
}

/// The lines in the order of the first of each kind: all of a kind of which there are few, else
/// the first of them and how many more there are.
pub(crate) fn abridged<I>(lines: I) -> Vec<String>
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut kinds: Vec<Kind> = Vec::new();
    for line in lines {
        let line = line.into();
        let place = *places.entry(shape(&line)).or_insert_with(|| {
            kinds.push(Kind::default());
            kinds.len() - 1
        });
        kinds[place].add(line);
    }
    kinds.into_iter().flat_map(Kind::shown).collect()
}

/// Things of one kind, in one line.
pub(crate) fn in_one_line(things: &[impl Display]) -> String {
    let mut kind = Kind::default();
    things.iter().for_each(|thing| kind.add(thing.to_string()));
    kind.shown().join(", ")
}

/// What lines that are alike have in common.
fn shape(line: &str) -> String {
    let words = line.split_whitespace();
    let words = words.map(|word| match word.contains(|c: char| c.is_ascii_digit()) {
        true => "0",
        false => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_lines_that_are_alike_are_three_and_a_count() {
        let records = (0..100).map(|n| format!("segments/{n:08x}.seg: the record at {n}: torn"));
        let lines = records.chain(["large/x: missing".to_owned()]).chain(["header 7: torn".into()]);
        let shown = abridged(lines);
        assert_eq!(shown.len(), 6, "{shown:?}");
        assert_eq!(shown[2], "segments/00000002.seg: the record at 2: torn");
        assert_eq!(shown[3], "and 97 more like these");
        assert_eq!(shown[4..], ["large/x: missing", "header 7: torn"]);
    }

    #[test]
    fn in_one_line_there_are_as_many_of_them() {
        let ids: Vec<_> = (0..5).collect();
        assert_eq!(in_one_line(&ids), "0, 1, 2, and 2 more like these");
        assert_eq!(in_one_line(&ids[..4]), "0, 1, 2, 3");
    }

    #[test]
    fn no_line_is_left_out_where_a_count_would_take_as_much_room() {
        for count in 0..=4 {
            let lines: Vec<_> = (0..count).map(|n| format!("object {n}")).collect();
            assert_eq!(abridged(lines.clone()), lines);
        }
    }
}
