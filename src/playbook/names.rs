//! Which names a playbook's expressions may use, checked before anything is evaluated.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::Scope;
use super::shape::{closest, did_you_mean};

/// The first words of names that are no variables.
pub const ROOTS: [&str; 5] = ["secrets", "instance", "os", "steps", "name"];

/// What `instance.` has.
pub const INSTANCE: [&str; 8] = ["id", "type", "region", "az", "account", "local_ip", "tags", "lifecycle"];
/// What `os.` has.
pub const OS: [&str; 5] = ["id", "version", "codename", "arch", "hostname"];

/// Functions that expressions have.
const FUNCTIONS: [&str; 3] = ["range", "dict", "namespace"];

/// One name of the `secrets:` block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretKind {
    /// Whether it stands for all parameters below a path.
    pub is_map: bool,
    /// `secret:` as declared; left out, the service decides.
    pub secret: Option<bool>,
}

/// Everything a playbook declares that expressions can name.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// The vars.
    pub vars: Vec<String>,
    /// The secrets block.
    pub secrets: IndexMap<String, SecretKind>,
    /// The ids of all steps, in order, as this file names them.
    pub steps: Vec<String>,
    /// What stands before these ids for the rest of the playbook, in a file that is included: `base/`.
    pub namespace: String,
    /// The values of its vars, in a file that is included. The playbook's own are in the scope.
    pub own_vars: Option<Arc<IndexMap<String, Json>>>,
}

/// Why a name cannot be used, and what was probably meant.
pub type Refusal = (String, Option<String>);

impl Declared {
    /// What the whole playbook calls the step that this file calls so.
    pub fn full_id(&self, id: &str) -> String {
        format!("{}{id}", self.namespace)
    }

    /// The values of the vars that this file sees.
    pub fn values<'v>(&'v self, scope: &'v Scope) -> &'v IndexMap<String, Json> {
        self.own_vars.as_deref().unwrap_or(&scope.vars)
    }

    /// Whether reading this name may give a secret.
    pub fn touches_secret(&self, name: &str) -> bool {
        let mut words = name.split('.');
        if words.next() != Some("secrets") {
            return false;
        }
        match words.next() {
            Some(secret) => self.secrets.get(secret).is_none_or(|kind| kind.secret != Some(false)),
            // `secrets[…]`: whichever it is.
            None => true,
        }
    }

    /// Checks a dotted name; `earlier` are the ids of the steps above the one that uses it.
    pub fn check(&self, name: &str, earlier: &[String]) -> Result<(), Refusal> {
        let mut words = name.split('.');
        let root = words.next().unwrap_or_default();
        if self.vars.iter().any(|var| var == root) || FUNCTIONS.contains(&root) {
            return Ok(());
        }
        let Some(word) = words.next() else {
            return if ROOTS.contains(&root) { Ok(()) } else { Err(self.unknown_root(root)) };
        };
        match root {
            "secrets" => known("secret", word, self.secrets.keys().map(String::as_str)),
            "instance" => known("name below `instance`", word, INSTANCE),
            "os" => known("name below `os`", word, OS),
            "steps" => self.check_step(word, earlier),
            "name" => Err((format!("`name` is text and has no `{word}`"), None)),
            _ => Err(self.unknown_root(root)),
        }
    }

    fn check_step(&self, id: &str, earlier: &[String]) -> Result<(), Refusal> {
        if earlier.iter().any(|known| known == id) {
            return Ok(());
        }
        if self.steps.iter().any(|known| known == id) {
            let hint = "a step can use the outputs of steps above it";
            return Err((format!("step `{id}` does not stand above this one"), Some(hint.to_owned())));
        }
        known("step", id, self.steps.iter().map(String::as_str))
    }

    fn unknown_root(&self, root: &str) -> Refusal {
        // A name of one of the blocks without its prefix is the usual mistake.
        let secret = self.secrets.contains_key(root).then(|| format!("did you mean `secrets.{root}`?"));
        let everything = self.vars.iter().map(String::as_str).chain(ROOTS);
        let near = || closest(root, everything).map(|near| format!("did you mean `{near}`?"));
        (format!("unknown variable `{root}`"), secret.or_else(near))
    }
}

fn known<'k>(what: &str, word: &str, known: impl IntoIterator<Item = &'k str>) -> Result<(), Refusal> {
    let known: Vec<&str> = known.into_iter().collect();
    if known.contains(&word) {
        return Ok(());
    }
    Err((format!("unknown {what} `{word}`"), did_you_mean(word, known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_refused_with_what_was_meant() {
        let secrets = IndexMap::from([
            ("deploy_key".to_owned(), SecretKind { is_map: false, secret: None }),
            ("public".to_owned(), SecretKind { is_map: false, secret: Some(false) }),
        ]);
        let declared =
            Declared { vars: vec!["user".into()], secrets, steps: vec!["code".into(), "late".into()], ..Declared::default() };
        let earlier = ["code".to_owned()];
        for (name, expected) in [
            ("usr", "unknown variable `usr`; did you mean `user`?"),
            ("deploy_key", "unknown variable `deploy_key`; did you mean `secrets.deploy_key`?"),
            ("secrets.deploy_kye", "unknown secret `deploy_kye`; did you mean `deploy_key`?"),
            (
                "instance.zone",
                "unknown name below `instance` `zone`; known here: `id`, `type`, `region`, `az`, `account`, `local_ip`, `tags`, `lifecycle`",
            ),
            ("os.arhc", "unknown name below `os` `arhc`; did you mean `arch`?"),
            ("steps.cod.commit", "unknown step `cod`; did you mean `code`?"),
            ("steps.late.x", "step `late` does not stand above this one; a step can use the outputs of steps above it"),
            ("name.x", "`name` is text and has no `x`"),
        ] {
            let (message, hint) = declared.check(name, &earlier).unwrap_err();
            assert_eq!(hint.map_or(message.clone(), |hint| format!("{message}; {hint}")), expected);
        }
        for name in
            ["user", "user.x", "secrets.deploy_key.x", "instance.tags.Name", "steps.code.commit", "name", "range", "secrets"]
        {
            assert_eq!(declared.check(name, &earlier), Ok(()), "{name}");
        }
        assert!(declared.touches_secret("secrets.deploy_key") && declared.touches_secret("secrets"));
        assert!(!declared.touches_secret("secrets.public") && !declared.touches_secret("user"));
    }
}
