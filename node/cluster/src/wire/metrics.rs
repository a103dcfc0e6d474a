//! Metrics on the wire: samples ↔ a message whose names and labels stand in one table.

use std::collections::BTreeMap;

use gitstratum_core::metrics::{Sample, Samples};
use gitstratum_proto::v1;

/// Places of words in the table, in the order in which they were first said.
#[derive(Default)]
struct Table<'w> {
    words: Vec<&'w str>,
    places: BTreeMap<&'w str, u32>,
}

impl<'w> Table<'w> {
    fn place(&mut self, word: &'w str) -> u32 {
        *self.places.entry(word).or_insert_with(|| {
            self.words.push(word);
            (self.words.len() - 1) as u32
        })
    }
}

/// Samples as a message.
pub fn metrics_to_wire(samples: &Samples) -> v1::Metrics {
    let mut table = Table::default();
    let samples = samples.0.iter().map(|Sample { name, labels, value }| {
        let words = labels.iter().flat_map(|(name, value)| [name, value]);
        v1::Sample {
            name: table.place(name),
            labels: words.map(|word| table.place(word)).collect(),
            value: *value,
        }
    });
    let samples = samples.collect();
    v1::Metrics { samples, words: table.words.into_iter().map(str::to_owned).collect() }
}

/// The metrics of a node by what it said. A word that it did not say is empty.
pub fn metrics_of(status: &v1::StatusResponse) -> Samples {
    let Some(v1::Metrics { words, samples }) = &status.metrics else { return Samples::default() };
    let word = |place: &u32| words.get(*place as usize).cloned().unwrap_or_default();
    let from_wire = |sample: &v1::Sample| Sample {
        name: word(&sample.name),
        labels: sample
            .labels
            .chunks_exact(2)
            .map(|pair| (word(&pair[0]), word(&pair[1])))
            .collect(),
        value: sample.value,
    };
    Samples(samples.iter().map(from_wire).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        Sample { name: name.to_owned(), labels: labels.collect(), value }
    }

    #[test]
    fn metrics_arrive_as_they_were_and_no_word_is_said_twice() {
        let samples = Samples(vec![
            sample("a_total", &[("peer", "n1")], 1.0),
            sample("a_total", &[("peer", "n2")], 0.5),
            sample("peer", &[], 9e15),
        ]);
        let metrics = metrics_to_wire(&samples);
        assert_eq!(metrics.words, ["a_total", "peer", "n1", "n2"]);
        let status = v1::StatusResponse { metrics: Some(metrics), ..Default::default() };
        assert_eq!(metrics_of(&status), samples);
    }

    #[test]
    fn words_that_were_not_said_are_empty() {
        let said = v1::Sample { name: 7, labels: vec![0, 7, 1], value: 1.0 };
        let metrics = v1::Metrics { words: vec!["a".to_owned()], samples: vec![said] };
        let status = v1::StatusResponse { metrics: Some(metrics), ..Default::default() };
        assert_eq!(metrics_of(&status).0, [sample("", &[("a", "")], 1.0)]);
    }
}
