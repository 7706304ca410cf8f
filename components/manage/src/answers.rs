//! What the owner of links is told.

use serde::Serialize;
use serde_json::value::RawValue;
use shortlink_core::{CodeError, Problems};
use shortlink_guest::answer::Answer;
use shortlink_spin_adapters::postgres::{LinkRecord, Page};

#[derive(Serialize)]
struct Listed<'a> {
    links: &'a [LinkRecord],
    next_cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<&'static str>,
}

#[derive(Serialize)]
struct Results {
    results: Vec<Box<RawValue>>,
}

/// 200 with a page of links. Of a search it says how the text was searched for: in codes and URLs, or as the beginning of codes.
pub fn listed(page: &Page, next_cursor: Option<String>, is_search: bool) -> Answer {
    let search = if page.search == "text" { "code and url" } else { "prefix of code" };
    Answer::envelope(200, Listed { links: &page.links, next_cursor, search: is_search.then_some(search) })
}

/// 200 with one link.
pub fn link(link: &LinkRecord) -> Answer {
    Answer::envelope(200, link)
}

/// 200 with an answer for each of several links, in their order.
pub fn results(answers: impl Iterator<Item = Answer>) -> Answer {
    let body = |answer: Answer| RawValue::from_string(answer.body.unwrap_or_default()).ok();
    match answers.map(body).collect::<Option<_>>() {
        Some(results) => Answer::envelope(200, Results { results }),
        None => Answer::internal(),
    }
}

/// 404 for a link that is not there, or is somebody else's.
pub fn no_link() -> Answer {
    Answer::error(404, "you have no link with this code")
}

/// 400 for a path that can be no code.
pub fn not_a_code(error: CodeError) -> Answer {
    Answer::error(400, &format!("the code {error}"))
}

/// 400 with what is wrong.
pub fn problems(problems: &Problems) -> Answer {
    Answer::error(400, &problems.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_is_an_answer_of_its_own() {
        let answer = results([no_link(), Answer::envelope(201, 7)].into_iter());
        let (first, second) = (
            r#"{"status":404,"data":{"error":"you have no link with this code"}}"#,
            r#"{"status":201,"data":7}"#,
        );
        assert_eq!(answer.body, Some(format!(r#"{{"status":200,"data":{{"results":[{first},{second}]}}}}"#)));
    }

    #[test]
    fn a_page_says_how_its_text_was_searched_for() {
        let page = |search: &str| Page { links: Vec::new(), search: search.into() };
        let data = |answer: Answer| answer.body.unwrap().replace(r#"{"status":200,"data":"#, "");
        assert_eq!(data(listed(&page("prefix"), None, false)), r#"{"links":[],"next_cursor":null}}"#);
        assert_eq!(
            data(listed(&page("text"), Some("c".into()), true)),
            r#"{"links":[],"next_cursor":"c","search":"code and url"}}"#
        );
        assert!(data(listed(&page("prefix"), None, true)).contains(r#""search":"prefix of code""#));
    }
}
