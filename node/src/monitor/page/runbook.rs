//! The runbook, as the status page has it: sections of `node/docs/alerts.md`, which is compiled in, as
//! paragraphs of plain text.
//!
//! So whoever is woken reads what to do on the page that says what is wrong, whatever else is down.

const ALERTS: &str = include_str!("../../../docs/alerts.md");

/// A paragraph, which begins with what it is about: `Means`, `Look at` or `Do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paragraph {
    pub(super) about: String,
    pub(super) text: String,
}

/// What the runbook says of an alert; nothing where it has no such section.
pub(super) fn section(alert: &str) -> Vec<Paragraph> {
    let heading = format!("## {alert}");
    let lines = ALERTS.lines().skip_while(|line| *line != heading).skip(1);
    let lines: Vec<_> = lines.take_while(|line| !line.starts_with("## ")).collect();
    let joined = lines.join(" ");
    // Each bold word begins a paragraph, and is closed by two asterisks.
    let mut parts = joined.split("**").skip(1);
    let mut paragraphs = Vec::new();
    while let (Some(about), Some(text)) = (parts.next(), parts.next()) {
        let text = plain(text.trim_start_matches([':', ',', ' ']).trim_end());
        paragraphs.push(Paragraph { about: about.to_owned(), text });
    }
    paragraphs
}

/// Markdown without its signs: of links the words, and in brackets the page.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        let Some((words, (target, behind))) = link
            .split_once("](")
            .filter(|(words, _)| !words.contains('['))
            .and_then(|(words, behind)| Some((words, behind.split_once(')')?)))
        else {
            plain.push('[');
            rest = link;
            continue;
        };
        plain.push_str(words);
        let page = target.split('#').next().unwrap_or_default();
        if words != page {
            plain.push_str(&format!(" ({page})"));
        }
        rest = behind;
    }
    plain.push_str(rest);
    plain.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_three_paragraphs_without_signs_of_markdown() {
        let paragraphs = section("GitStratumDown");
        let about: Vec<_> = paragraphs.iter().map(|paragraph| paragraph.about.as_str()).collect();
        assert_eq!(about, ["Means", "Look at", "Do"]);
        for Paragraph { text, .. } in &paragraphs {
            assert!(!text.is_empty() && !text.contains(['`', '*', '[']), "{text}");
        }
        assert!(paragraphs[2].text.contains("replace the machine: layouts.md."), "{paragraphs:?}");
        assert_eq!(section("GitStratum"), []);
    }

    #[test]
    fn a_link_is_its_words_and_a_bracket_that_is_none_stays() {
        assert_eq!(plain("see [how](a.md#b), [c.md](c.md#d)"), "see how (a.md), c.md");
        assert_eq!(plain("a [b and [c](d.md)"), "a [b and c (d.md)");
    }
}
