//! The last hour of this node: what was asked of it and how long that took, and what went wrong.

use maud::{Markup, html};

use super::Shown;
use super::parts::{NONE, bars, cell, count, head, number, seconds};
use crate::reports::time;

impl Shown<'_> {
    pub(super) fn hour(&self) -> Markup {
        let hour = &self.seen.hour;
        let covers = time(hour.covers.as_millis() as u64);
        let columns =
            ["Requests", "#Count", "#Failed", "#Median", "#99 of 100 within", "Minute by minute"];
        let caption = html! {
            "What clients asked of node " (self.seen.node) " in the last " (covers)
            ". Git asks for refs once for each command, and then once or more. Each other node says its own."
        };
        html! {
            section #hour aria-labelledby="hour-title" {
                h2 #hour-title { "Last hour at this node" }
                table role="table" {
                    (head(caption, &columns))
                    tbody role="rowgroup" {
                        @for asked in &hour.asked {
                            tr role="row" {
                                th scope="row" role="rowheader" { (asked.what) }
                                (number("Count", count(asked.count)))
                                (number("Failed", count(asked.failed)))
                                (number("Median", asked.median.map_or(NONE.to_owned(), seconds)))
                                (number("99 of 100 within", asked.p99.map_or(NONE.to_owned(), seconds)))
                                (cell("Minute by minute", bars(&asked.minutes)))
                            }
                        }
                    }
                }
            }
            section #errors aria-labelledby="errors-title" {
                h2 #errors-title { "Errors at this node" }
                @if hour.errors.is_empty() {
                    p { "None in the last " (covers) "." }
                } @else {
                    table role="table" {
                        (head(
                            html! { "By class, in the last " (covers) },
                            &["Class", "Which", "#Count", "#Last", "Alert", "Minute by minute"],
                        ))
                        tbody role="rowgroup" {
                            @for error in &hour.errors {
                                @let last = time(error.last_ago.as_millis() as u64);
                                tr role="row" {
                                    th scope="row" role="rowheader" { (error.class) }
                                    (cell("Which", if error.detail.is_empty() { NONE } else { &error.detail }))
                                    (number("Count", count(error.count)))
                                    (number("Last", format!("within {last}")))
                                    (cell("Alert", if error.alert.is_empty() { NONE } else { error.alert }))
                                    (cell("Minute by minute", bars(&error.minutes)))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
