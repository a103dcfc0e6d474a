//! What was measured: rows, and for each row the figures of every contender and round.

use std::collections::BTreeMap;

use crate::contenders::Contender;

/// Which way a row's figures are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
    /// Told, not judged.
    Neither,
}

/// What the store is to reach in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Target {
    /// Times that it is to be ahead of each engine; to be ahead at all is 1.
    pub ahead: f64,
    /// Share of the bare loop's figure to reach.
    pub share_of_bare: Option<f64>,
    /// The figure itself: to reach where more is better, to stay below where less is.
    pub figure: Option<f64>,
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was done.
    pub what: String,
    /// What the figures count.
    pub unit: &'static str,
    /// Which way they are better.
    pub better: Better,
    /// What is to be reached.
    pub target: Target,
    figures: BTreeMap<Contender, Vec<f64>>,
}

impl Row {
    /// The median of a contender's rounds.
    pub fn median(&self, contender: Contender) -> Option<f64> {
        median(self.figures.get(&contender)?.clone())
    }

    /// How many times our figure is ahead of a contender's: the median of the rounds'
    /// ratios, because what a disk does to one contender of a round it does to all.
    pub fn ahead_of(&self, contender: Contender) -> Option<f64> {
        let ours = self.figures.get(&Contender::Ours)?;
        let rounds = ours.iter().zip(self.figures.get(&contender)?);
        median(match self.better {
            Better::Higher => rounds.map(|(ours, other)| ours / other).collect(),
            Better::Lower => rounds.map(|(ours, other)| other / ours).collect(),
            Better::Neither => return None,
        })
    }
}

/// The middle one, or the mean of the two in the middle.
pub fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() % 2 {
        0 => Some((figures.get(middle.checked_sub(1)?)? + figures[middle]) / 2.0),
        _ => Some(figures[middle]),
    }
}

/// All rows, in the order in which they first came.
#[derive(Debug, Default)]
pub struct Results {
    rows: Vec<Row>,
}

impl Results {
    /// Enters one figure.
    pub fn enter(
        &mut self,
        contender: Contender,
        what: &str,
        (unit, better, target): (&'static str, Better, Target),
        figure: f64,
    ) {
        let same = |row: &Row| row.what == what && row.unit == unit;
        let place = self.rows.iter().position(same).unwrap_or_else(|| {
            let figures = BTreeMap::new();
            self.rows.push(Row { what: what.to_owned(), unit, better, target, figures });
            self.rows.len() - 1
        });
        self.rows[place].figures.entry(contender).or_default().push(figure);
    }

    /// The rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}
