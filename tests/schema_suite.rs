//! The JSON-Schema-Test-Suite, over the tape: text, tape, check.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use zigllms::schema::{Draft, Options, Schema, draft};
use zigllms::value::{Tape, json};

/// Folder, option, and how many cases its core has (the suite's own count).
const DRAFTS: &[(&str, &str)] = &[
    ("draft4", "4"),
    ("draft6", "6"),
    ("draft7", "7"),
    ("draft2019-09", "2019-09"),
    ("draft2020-12", "2020-12"),
];

#[derive(Default)]
struct Score {
    passed: usize,
    failed: Vec<String>,
}

#[test]
fn every_core_case_of_every_draft_passes() {
    let Some(suite) = common::corpus("json-schema-test-suite") else { return };
    let documents = Arc::new(remotes(&suite.join("remotes")));
    let mut failed = Vec::new();
    for (folder, name) in DRAFTS {
        let mut score = Score::default();
        for file in json_files(&suite.join("tests").join(folder)) {
            run_file(&file, draft(name).unwrap(), &documents, &mut score);
        }
        println!("{folder}: {} of {}", score.passed, score.passed + score.failed.len());
        failed.extend(score.failed);
    }
    assert!(failed.is_empty(), "{} cases:\n{}", failed.len(), failed.join("\n"));
}

fn run_file(
    file: &Path,
    draft: Draft,
    documents: &Arc<BTreeMap<String, Value>>,
    score: &mut Score,
) {
    let name = format!("{}/{}", file.parent().unwrap().display(), file.display());
    let groups: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    for group in groups.as_array().unwrap() {
        let options = Options { draft: Some(draft), formats: false, documents: documents.clone() };
        let schema = Schema::compile_with(&group["schema"], options);
        for case in group["tests"].as_array().unwrap() {
            let label = format!("{name}: {} / {}", group["description"], case["description"]);
            match &schema {
                Err(error) => score.failed.push(format!("{label}: {error}")),
                Ok(schema) if fits(schema, &case["data"]) == case["valid"] => score.passed += 1,
                Ok(_) => score.failed.push(label),
            }
        }
    }
}

/// Both doors have to agree.
fn fits(schema: &Schema, data: &Value) -> bool {
    let mut tape = Tape::default();
    json::parse(data.to_string().as_bytes(), &mut tape).unwrap();
    let root = tape.root().unwrap();
    let valid = schema.is_valid(root);
    assert_eq!(schema.check(root).is_empty(), valid, "{data}");
    valid
}

fn remotes(root: &Path) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(value) = serde_json::from_slice(&fs::read(&path).unwrap()) {
                let inside = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
                found.insert(format!("http://localhost:1234/{inside}"), value);
            }
        }
    }
    found
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ext| ext == "json"));
    files.sort();
    files
}
