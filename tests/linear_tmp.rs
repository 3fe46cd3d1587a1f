use std::time::Instant;
use zigllms::output::{self, Format, Reading, Recovery, markdown};
use zigllms::value::{Tape, repair};
fn main_() {
    let pieces: Vec<(&str, &str)> = vec![
        ("", "["),
        ("", "{"),
        ("", "{\"a\":"),
        ("", "[[],"),
        ("", "\""),
        ("", "\\"),
        ("", ">"),
        ("", "> "),
        ("", "- "),
        ("", "* "),
        ("", "1. "),
        ("", "#"),
        ("", "*_"),
        ("", "**a "),
        ("", "_a"),
        ("", "`"),
        ("", "`a``"),
        ("", "```\n"),
        ("", "~~~ yaml\na: b: c\n"),
        ("", "!["),
        ("", "[a]("),
        ("", "[a]["),
        ("", "[a]: b\n"),
        ("", "<"),
        ("", "<a>"),
        ("", "<a b='"),
        ("", "</a>"),
        ("", "<!--"),
        ("", "<![CDATA["),
        ("", "<?"),
        ("", "<!DOCTYPE a ["),
        ("", "&"),
        ("", "&amp"),
        ("", "&#x"),
        ("", "<p>"),
        ("", "<br>"),
        ("|a|\n|-|\n", "|"),
        ("|a|b|c|\n|-|-|-|\n", "|a\n"),
        ("", "a: "),
        ("", "a: b\n"),
        ("", "a:\n "),
        ("", "? "),
        ("", "&a "),
        ("- &a [1, 2, 3]\n", "- *a\n"),
        ("a: &a [x,x,x,x,x,x,x,x]\nb: [", "*a, "),
        ("", "!!str "),
        ("", "%YAML 1.2\n"),
        ("", "---\n"),
        ("", "a: |\n  b\n"),
        ("", "a: 'b\n"),
        ("", "\t"),
        ("\u{20}", " "),
        ("", "\n"),
        ("", "\r\n"),
        ("", "a\n\n"),
        ("", "ä"),
        ("", "\0"),
        ("", "x"),
    ];
    let n: usize = std::env::var("N").map(|v| v.parse().unwrap()).unwrap_or(20000);
    let only = std::env::var("ONLY").unwrap_or_default();
    type F = Box<dyn Fn(&str)>;
    let mut fns: Vec<(String, F)> = vec![
        (
            "markdown".into(),
            Box::new(|t| {
                let _ = markdown::extract(t, &markdown::Wanted::default(), &mut Tape::default());
            }),
        ),
        (
            "detect".into(),
            Box::new(|t| {
                output::detect(t);
            }),
        ),
    ];
    for f in [None, Some(Format::Json), Some(Format::Yaml), Some(Format::Xml)] {
        for l in [Recovery::Strict, Recovery::Lenient, Recovery::BestEffort] {
            fns.push((
                format!("{f:?} {l:?}"),
                Box::new(move |t| {
                    let _ = output::parse(
                        t,
                        &Reading { format: f, recovery: l, ..Reading::default() },
                        &mut Tape::default(),
                    );
                }),
            ));
        }
    }
    let _ = repair::Level::Strict;
    for (pre, p) in &pieces {
        for (name, f) in &fns {
            if !name.contains(&only) {
                continue;
            }
            let mk = |n: usize| format!("{pre}{}", p.repeat(n / p.len()));
            let (a, b) = (mk(n), mk(2 * n));
            let t = Instant::now();
            f(&a);
            let ta = t.elapsed().as_secs_f64() * 1e3;
            let t = Instant::now();
            f(&b);
            let tb = t.elapsed().as_secs_f64() * 1e3;
            if tb > (n as f64) * 2.0 * 0.002 && (tb / ta > 2.9 || tb > n as f64 * 2.0 * 0.02) {
                println!("{p:?} {name}: {ta:.1} {tb:.1}");
            }
        }
    }
}
#[test]
fn lin() {
    main_()
}
