//! Many lines that say the same of different things: a few of them, and how many there are.
//!
//! Lines are alike that differ in words with a digit alone: ids, offsets, sizes, and the names of
//! files that are numbered.

use std::collections::BTreeMap;

/// Lines that are alike and shown.
const EXAMPLES: usize = 3;

/// The lines in the order of the first of each kind: all of a kind of which there are few, else
/// the first of them and how many more there are.
pub(crate) fn abridged<I>(lines: I) -> Vec<String>
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut kinds: Vec<(Vec<String>, usize)> = Vec::new();
    for line in lines {
        let line = line.into();
        let place = *places.entry(shape(&line)).or_insert_with(|| {
            kinds.push((Vec::new(), 0));
            kinds.len() - 1
        });
        let (examples, count) = &mut kinds[place];
        *count += 1;
        // One more than are shown with a count: it would take its place.
        if examples.len() <= EXAMPLES {
            examples.push(line);
        }
    }
    let mut shown = Vec::new();
    for (mut examples, count) in kinds {
        if count > examples.len() {
            examples.truncate(EXAMPLES);
            examples.push(format!("and {} more like these", count - EXAMPLES));
        }
        shown.append(&mut examples);
    }
    shown
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
    fn no_line_is_left_out_where_a_count_would_take_as_much_room() {
        for count in 0..=4 {
            let lines: Vec<_> = (0..count).map(|n| format!("object {n}")).collect();
            assert_eq!(abridged(lines.clone()), lines);
        }
    }
}
