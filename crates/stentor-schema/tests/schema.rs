//! Schema files that are refused, with the whole text that their author reads, and files that are not.

use std::{
    fs,
    path::{Path, PathBuf},
};

use stentor_schema::{Schema, SchemaOptions};

#[test]
fn every_mistake_is_told_with_place_and_fix() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    let files = graphql_files("invalid");
    assert!(files.len() >= 45, "only {} files", files.len());
    for path in files {
        let told = match parse(&path) {
            Ok(_) => "no mistake was found".to_owned(),
            Err(diagnostics) => diagnostics.to_string() + "\n",
        };
        let expected = path.with_extension("txt");
        if update {
            fs::write(&expected, &told).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != told {
            wrong.push(format!("{}:\n{told}", path.display()));
        }
        let mistakes = told.lines().filter(|line| line.starts_with("error: ")).count();
        let fixes = told.lines().filter(|line| line.trim_start().starts_with("= help: ")).count();
        if mistakes == 0 || fixes != mistakes {
            wrong.push(format!("{}: {mistakes} mistakes, {fixes} fixes", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_expectation_belongs_to_a_file() {
    for entry in fs::read_dir(data("invalid")).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.with_extension("graphql").exists(), "{} is left over", path.display());
    }
}

#[test]
fn correct_files_are_accepted() {
    for path in graphql_files("valid") {
        if let Err(diagnostics) = parse(&path) {
            panic!("{}:\n{diagnostics}", path.display());
        }
    }
}

fn parse(path: &Path) -> Result<Schema, stentor_schema::Diagnostics> {
    let sdl = fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    Schema::parse(&sdl, &name, &options(&sdl))
}

/// Authentication is on unless the first line says otherwise: `# options: no-auth`, `# options: no-tenant`.
fn options(sdl: &str) -> SchemaOptions {
    let first = sdl.lines().next().unwrap_or_default();
    let said = first.strip_prefix("# options:").unwrap_or_default();
    for word in said.split_whitespace() {
        assert!(["no-auth", "no-tenant"].contains(&word), "unknown option {word}");
    }
    let authentication = !said.contains("no-auth");
    let tenant_claim = (authentication && !said.contains("no-tenant")).then(|| "tenant_id".to_owned());
    SchemaOptions { authentication, tenant_claim }
}

fn graphql_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(data(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "graphql")).collect();
    files.sort();
    files
}

fn data(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(folder)
}
