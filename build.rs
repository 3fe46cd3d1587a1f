//! Linker flags of the module.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Reproducible builds set SOURCE_DATE_EPOCH; it wins over the wall clock.
    let built = std::env::var("SOURCE_DATE_EPOCH").unwrap_or_else(|_| now().to_string());
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo:rustc-env=ZIGLLMS_BUILD_EPOCH={built}");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // `lua_close` unloads C modules while our worker threads may still run their code.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        // A wrong Lua then fails in dlopen with a symbol name instead of crashing at first use.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,now");
    }
}

#[allow(clippy::disallowed_methods)] // a build has no other clock
fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}
