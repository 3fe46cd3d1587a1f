//! Which providers there are, and how they are configured.

use crate::error::Result;
use crate::lua::args::Args;
use crate::provider::Reach;
use crate::provider::options::CONFIG;
use crate::runtime::Runtime;
use crate::value::Data;

pub fn create(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    Ok(Data::from(runtime.providers.create(&args.options(0, &CONFIG))?))
}

pub fn configure(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let options = args.options(1, &CONFIG);
    let (map, reach) = Reach::split(&options, &runtime.providers, "config")?;
    runtime.providers.configure(&args.id(0), map, &reach)?;
    Ok(Data::Bool(true))
}

pub fn list(runtime: &mut Runtime, _: &Args<'_>) -> Result<Data> {
    let default = runtime.providers.default_id(runtime.config.default_provider.as_deref());
    Ok(Data::from(runtime.providers.list(default.as_deref())))
}

pub fn get(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let default = runtime.providers.default_id(runtime.config.default_provider.as_deref());
    Ok(runtime.providers.info(&args.id(0), default.as_deref()).into())
}

pub fn destroy(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    Ok(Data::Bool(runtime.providers.destroy(&args.id(0))))
}
