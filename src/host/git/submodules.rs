//! Submodules, and theirs, with the credentials of the repository they are in for as long as they are on its host.

use std::sync::Arc;

use git2::build::CheckoutBuilder;
use git2::{AutotagOption, FetchOptions, Repository, SubmoduleUpdateOptions};

use super::access::Access;
use super::address::Address;
use crate::error::{Context, Error, Kind, Result};

/// Deeper than this is a repository that contains itself.
const DEEPEST: usize = 8;

/// Brings all of them to the commits that the checked-out tree names.
///
/// # Errors
/// When one cannot be fetched or checked out.
pub fn bring(repository: &Repository, access: &Arc<Access>) -> Result<()> {
    below(repository, access, DEEPEST)
}

fn below(repository: &Repository, access: &Arc<Access>, deep: usize) -> Result<()> {
    for mut submodule in repository.submodules()? {
        let name = submodule.path().display().to_string();
        let what = || format!("bringing the submodule `{name}`");
        if deep == 0 {
            return Err(Error::new(Kind::Failed, format!("submodules are nested more than {DEEPEST} deep")).doing(what()));
        }
        if submodule.head_id().is_none() {
            continue; // Named in `.gitmodules`, but not part of this commit.
        }
        if submodule.workdir_id() != submodule.head_id() {
            refuse_foreign(submodule.url().ok().flatten().unwrap_or_default(), access).doing(what)?;
            submodule.init(true)?;
            submodule.sync()?;
            let mut fetch = FetchOptions::new();
            fetch.download_tags(AutotagOption::None);
            let mut checkout = CheckoutBuilder::new();
            checkout.safe().recreate_missing(true);
            let mut options = SubmoduleUpdateOptions::new();
            options.fetch(fetch).checkout(checkout);
            access.during(|| submodule.update(true, Some(&mut options))).doing(what)?;
        }
        below(&submodule.open()?, access, deep - 1)?;
    }
    Ok(())
}

/// A repository from elsewhere must not make us read one of this machine.
fn refuse_foreign(url: &str, access: &Access) -> Result<()> {
    let is_relative = url.starts_with("./") || url.starts_with("../");
    if is_relative {
        return Ok(());
    }
    let address: Address = url.parse().map_err(|why: String| Error::new(Kind::Denied, why))?;
    let may = !matches!(address, Address::Local(_)) || matches!(access.address, Address::Local(_));
    if may { Ok(()) } else { Err(Error::new(Kind::Denied, format!("`{url}` is a path of this machine"))) }
}
