use super::*;
use serde_json::Value;

fn with(text: &str, options: &Options) -> Result<Value> {
    let mut tape = Tape::default();
    let found = read(text.as_bytes(), options, &mut tape)?;
    Ok(tape.at(found.root).unwrap().to_json())
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        _ => a == b,
    }
}

fn score(name: &str, family: &str, options: &Options) {
    let path = format!("../shared/corpora/{name}");
    let Ok(text) = std::fs::read_to_string(&path) else { return };
    let (mut right, mut all, mut values, mut right_values) = (0, 0, 0, 0);
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        if !case["src"].as_str().unwrap().starts_with(family) {
            continue;
        }
        let input = case["input"].as_str().unwrap();
        let got = with(input, options);
        let value = case["expect"] == "value";
        let fine = match &got {
            Ok(got) if value => same(got, &case["expected"]),
            Ok(_) => false,
            Err(_) => !value,
        };
        all += 1;
        values += usize::from(value);
        right += usize::from(fine);
        right_values += usize::from(fine && value);
        if !fine {
            let want =
                if value { case["expected"].to_string() } else { case["expect"].to_string() };
            let got = got.map_or_else(|e| e.to_string(), |v| v.to_string());
            println!("  {input:?}\n     want {want}\n     got  {got}");
        }
    }
    println!("{name} {family:?}: {right}/{all}, of values {right_values}/{values}");
}

#[test]
fn scores() {
    let best = Options::at(Level::BestEffort);
    for family in ["", "jsonrepair-js", "json_repair-py", "langchain", "instructor"] {
        score("json_repair.dev.jsonl", family, &best);
    }
    println!("--- empty, error");
    let py = Options { missing: Missing::Empty, prose: Some(Prose::Error), ..best };
    score("json_repair.dev.jsonl", "json_repair-py", &py);
}

#[test]
fn scratch() {
    let Ok(text) = std::fs::read_to_string("/tmp/w/rep_mine.txt") else { return };
    let best = Options::at(Level::BestEffort);
    let py = Options { missing: Missing::Empty, prose: Some(Prose::Error), ..best };
    let mut bad = 0;
    for line in text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with("##")) {
        let case: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        let options = if case[2] == "py" { &py } else { &best };
        let got = with(case[0].as_str().unwrap(), options);
        match got {
            Ok(got) if same(&got, &case[1]) => {}
            Err(_) if case[1] == "<error>" => {}
            got => {
                bad += 1;
                println!(
                    "{:?}\n   want {}\n   got  {}",
                    case[0].as_str().unwrap(),
                    case[1],
                    got.map_or_else(|e| e.to_string(), |v| v.to_string())
                );
            }
        }
    }
    println!("{bad} differ");
}

#[test]
fn hostile_texts_are_read_in_linear_time() {
    let million: usize = std::env::var("BIG").map_or(1_000_000, |n| n.parse().unwrap());
    let units = [
        "[",
        "{\"a\":",
        "\"",
        "\\",
        "/*",
        "'",
        "{",
        "{a",
        "{\"",
        "[\"",
        "(",
        "{\"a\": (",
        "a(",
        "```",
        "```json\n{",
        "{'a",
        "{\u{201C}a",
        "[\"a,",
        "[\"a\"b,\"",
        "//}",
        "#",
        "/* */",
        "{\"a\":\"b,\"",
        "\"a\": ",
        ",",
        "[,",
        "...",
        "+\"",
        "-",
        "{\"a\": \"x\" y ",
        "\\\"",
        "{\\\"",
        "[{\"a\":1",
        "{\"a\":\"```json {",
        "`",
        "a: b\n",
        "1,",
        "\u{a0}",
        "{\"a\":1},",
        "}",
        "]",
        ")",
        "{\"a\":'b",
        "[\"a\" ",
        "/",
        "{a:/",
        "\n",
        " \t",
        "x ",
        "[1],\"a\",",
        "{\"k\":\"{\"",
        "\"a\"b",
        "{{",
        "new ",
        "{\"a\":/*",
        "\"\"\"",
        "{\"\"a",
        "\u{2018}",
        "{\"a\" \"b\"",
        "[1 ",
        "[a: ",
        "{1,2",
        "{a=",
        "'a' + ",
        "tru",
    ];
    for level in [Level::Lenient, Level::BestEffort] {
        for unit in units {
            let mut text = unit.repeat(million / unit.len());
            for end in ["", "\"}]"] {
                text.push_str(end);
                let mut tape = Tape::default();
                eprintln!("{level:?} {unit:?} {end:?}");
                let clock = std::time::Instant::now();
                let _ = read(text.as_bytes(), &Options::at(level), &mut tape);
                let _ = candidates(text.as_bytes(), &Options::at(level), &mut tape);
                let ms = clock.elapsed().as_millis();
                if ms > 500 {
                    println!("{level:?} {unit:?} {end:?} {ms} ms");
                }
            }
        }
    }
}
