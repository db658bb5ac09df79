//! What a change does to a file's content, as a unified diff, or as sizes only.

use std::time::Duration;

use similar::TextDiff;

use crate::step::Diff;

/// A diff that takes longer is given coarser: a plan must not hang on two large files.
const PATIENCE: Duration = Duration::from_millis(500);

/// The text of a diff. Colour is the terminal's business.
#[must_use]
pub fn unified(diff: &Diff) -> String {
    match diff {
        Diff::Text { path, before, after } => {
            let old = if before.is_some() { format!("{path} (now)") } else { "/dev/null".to_owned() };
            let new = if after.is_some() { format!("{path} (wished)") } else { "/dev/null".to_owned() };
            TextDiff::configure()
                .timeout(PATIENCE)
                .diff_lines(before.as_deref().unwrap_or_default(), after.as_deref().unwrap_or_default())
                .unified_diff()
                .context_radius(3)
                .header(&old, &new)
                .to_string()
        }
        Diff::Private { path, before, after } => {
            format!("{path}: {} → {} (content not shown)\n", size(*before), size(*after))
        }
    }
}

fn size(bytes: Option<usize>) -> String {
    match bytes {
        None => "absent".to_owned(),
        Some(1) => "1 byte".to_owned(),
        Some(bytes) => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_content_is_shown_as_a_unified_diff() {
        let diff = Diff::Text { path: "/etc/app.conf".into(), before: Some("a\nb\nc\n".into()), after: Some("a\nB\nc".into()) };
        let text = unified(&diff);
        assert!(text.starts_with("--- /etc/app.conf (now)\n+++ /etc/app.conf (wished)\n@@ -1,3 +1,3 @@\n a\n-b\n"), "{text}");
        assert!(text.contains("\\ No newline at end of file"), "{text}");
        let new = Diff::Text { path: "/etc/app.conf".into(), before: None, after: Some("a\n".into()) };
        assert!(unified(&new).starts_with("--- /dev/null\n"));
    }

    #[test]
    fn private_content_is_shown_as_sizes() {
        let diff = Diff::Private { path: "/srv/.env".into(), before: None, after: Some(12) };
        assert_eq!(unified(&diff), "/srv/.env: absent → 12 bytes (content not shown)\n");
    }
}
