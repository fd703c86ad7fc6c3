//! Puts GraphiQL into the library where `scripts/web` has built it; without it the library is whole, too.

use std::{
    env,
    error::Error,
    ffi::OsStr,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

/// Relative to this package. The folder itself is in the repository, so that cargo notices what appears in it.
const BUILT: &str = "../../web/graphiql/dist";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={BUILT}");
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join(BUILT);
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(PathBuf::from(out).join("graphiql.rs"), embed(&built)?)?;
    Ok(())
}

/// The page and the compressed files that it needs, as two items of Rust.
fn embed(built: &Path) -> Result<String, Box<dyn Error>> {
    let page = built.join("index.html");
    if !page.exists() {
        return Ok("const PAGE: Option<&str> = None;\nstatic ASSETS: &[(&str, &[u8])] = &[];\n".to_owned());
    }
    let mut text = format!("const PAGE: Option<&str> = Some(include_str!({page:?}));\n");
    text.push_str("static ASSETS: &[(&str, &[u8])] = &[\n");
    for path in files(&built.join("graphql/assets"))? {
        let name = path.file_stem().and_then(OsStr::to_str).ok_or("the name of a file is no text")?;
        writeln!(text, "    ({name:?}, include_bytes!({path:?})),")?;
    }
    text.push_str("];\n");
    Ok(text)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<_> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.sort();
    Ok(files)
}
