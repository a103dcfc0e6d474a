//! Repositories: a search by what their names begin with, and a page of them.

use form_urlencoded::Serializer;
use maud::{Markup, html};

use super::super::repositories::{Listing, Row, Wanted};
use super::super::{AFTER, PREFIX};
use super::Shown;
use super::parts::{bytes, cell, count, date, head, number};

impl Shown<'_> {
    pub(super) fn repositories(&self) -> Markup {
        html! {
            section #repositories aria-labelledby="repositories-title" {
                h2 #repositories-title { "Repositories" }
                @match self.listing {
                    None => { p { "This node has no catalog, which knows them." } }
                    Some(listing) => {
                        (search(&self.asked.wanted))
                        (self.listed(listing))
                    }
                }
            }
        }
    }

    fn listed(&self, listing: &Listing) -> Markup {
        let Wanted { prefix, after } = &self.asked.wanted;
        let shown = listing.rows.len();
        let caption = html! {
            @match listing.total {
                Some(total) if after.is_empty() => {
                    "First " (shown) " of " (count(total)) ", in the order of their names"
                }
                Some(total) => { (shown) " of " (count(total)) ", after " code { (after) } }
                None => {
                    (shown) " of those that this token may see"
                    @if !prefix.is_empty() { ", whose names begin with " code { (prefix) } }
                }
            }
            ". Sizes are of packs as they are stored, without their replicas; what a fork shares counts \
             for each."
        };
        html! {
            @if listing.rows.is_empty() {
                p { "None" @if !prefix.is_empty() { " whose name begins with " code { (prefix) } } "." }
            } @else {
                table role="table" {
                    (head(caption, &["Name", "#Size", "#Objects", "#Packs", "#Refs", "Public", "Created"]))
                    tbody role="rowgroup" { @for row in &listing.rows { (described(row)) } }
                }
            }
            @if !after.is_empty() || listing.next.is_some() {
                p.pager {
                    @if !after.is_empty() { a href=(link(prefix, "")) { "First page" } " " }
                    @if let Some(next) = &listing.next { a href=(link(prefix, next)) { "Next page" } }
                }
            }
        }
    }
}

fn search(wanted: &Wanted) -> Markup {
    html! {
        form.search method="get" action="#repositories" role="search" {
            label for="prefix" { "Names that begin with" }
            input #prefix type="search" name=(PREFIX) value=(wanted.prefix) autocomplete="off"
                autocapitalize="none" spellcheck="false";
            button type="submit" { "Show" }
        }
    }
}

/// The address of another page of the list.
fn link(prefix: &str, after: &str) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair(PREFIX, prefix);
    if !after.is_empty() {
        query.append_pair(AFTER, after);
    }
    format!("?{}#repositories", query.finish())
}

fn described(row: &Row) -> Markup {
    let at_least = if row.is_cut { "at least " } else { "" };
    html! {
        tr role="row" {
            th.name scope="row" role="rowheader" { (row.name) }
            (number("Size", format!("{at_least}{}", bytes(row.bytes))))
            (number("Objects", format!("{at_least}{}", count(row.objects))))
            (number("Packs", count(row.packs)))
            (number("Refs", count(row.refs)))
            (cell("Public", if row.is_public { "yes" } else { "no" }))
            (cell("Created", date(row.created_at_ms)))
        }
    }
}
