use super::*;

fn suite() -> Suite {
    let failure = |message: &str, code: &str| {
        Some(Failure { message: message.into(), code: Some(code.into()), path: None })
    };
    let case = |name: &str, status| Case { name: name.into(), status, ..Case::default() };
    let reason = Some("no <net> # here".to_owned());
    Suite {
        name: "a & b".into(),
        duration_ms: 12.0,
        cases: vec![
            case("fine", Status::Passed),
            Case {
                failure: failure("1 ]]> 2", "assertion_failed"),
                ..case("bad\n#1", Status::Failed)
            },
            Case { failure: failure("\u{1}", "callback_error"), ..case("worse", Status::Error) },
            Case { reason, ..case("later", Status::Skipped) },
        ],
        coverage: Vec::new(),
    }
}

#[test]
fn points_of_tap_stand_on_a_line_each() {
    let tap = suite().write("tap").unwrap();
    assert!(
        tap.starts_with("TAP version 13\n1..4\nok 1 - fine\nnot ok 2 - bad \\#1\n  ---\n"),
        "{tap}"
    );
    assert!(tap.ends_with("ok 4 - later # SKIP no <net> \\# here\n"), "{tap}");
}

#[test]
fn junit_has_nothing_that_xml_has_not() {
    let xml = suite().write("junit").unwrap();
    assert!(
        xml.contains(
            r#"name="a &amp; b" tests="4" failures="1" errors="1" skipped="1" time="0.012000""#
        ),
        "{xml}"
    );
    assert!(xml.contains(r#"<failure message="1 ]]&gt; 2" type="assertion_failed">1 ]]&gt; 2 [assertion_failed]</failure>"#), "{xml}");
    assert!(xml.contains("message=\"\u{FFFD}\"") && xml.contains(r#"name="bad&#10;#1""#), "{xml}");
    assert!(xml.contains(r#"<skipped message="no &lt;net&gt; # here"/>"#), "{xml}");
}

#[test]
fn a_text_says_what_went_wrong_below() {
    let text = suite().write("text").unwrap();
    assert!(text.contains("  ~ later (skipped: no <net> # here)\n"), "{text}");
    assert!(text.contains("\nFailure: bad #1\n  1 ]]> 2 [assertion_failed]\n"), "{text}");
    assert!(text.ends_with("\n1 passed, 1 failed, 1 errors, 1 skipped in 12.0 ms\n"), "{text}");
}

#[test]
fn json_counts_errors_as_failed() {
    let json: serde_json::Value = serde_json::from_str(&suite().write("json").unwrap()).unwrap();
    assert_eq!((json["failed"].as_u64(), json["total"].as_u64()), (Some(2), Some(4)));
    assert_eq!(json["results"][1]["error"]["message"], "1 ]]> 2");
}
