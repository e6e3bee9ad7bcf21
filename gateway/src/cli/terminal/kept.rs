//! The token on the person's machine: one file for each host, which nobody else may read, in the form of a cookie file, so that
//! programs that know cookies show it to that host alone.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use portcullis_store::Secret;
use url::Url;

use super::grants::Token;
use crate::cookies;

const HEAD: &str = "# Netscape HTTP Cookie File\n# Made by portcullis login. Whoever has this file is you.\n";

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeptError {
    #[error("neither XDG_STATE_HOME nor HOME is set: there is no folder to keep a token in")]
    NoFolder,
    #[error("cannot use `{}`", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("others may read `{}`; take it as known to them: sign in again", .0.display())]
    Readable(PathBuf),
    #[error("nobody is signed in to {0} here; run: portcullis login {0}")]
    Nobody(Url),
    #[error("the sign-in to {0} is over; run: portcullis login {0}")]
    Over(Url),
}

/// Where the token of one application's host is kept.
#[derive(Debug)]
pub(super) struct Kept {
    origin: Url,
    file: PathBuf,
}

impl Kept {
    pub(super) fn of(origin: &Url) -> Result<Self, KeptError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
        let folder = state.ok_or(KeptError::NoFolder)?.join("portcullis");
        Ok(Self { origin: origin.clone(), file: folder.join(file_name(origin)) })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Replaces the file whole: whoever reads it meanwhile sees the old one or the new one.
    pub(super) fn write(&self, token: &Token) -> Result<(), KeptError> {
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|source| self.fault(source))?;
        let line = format!(
            "{HEAD}#HttpOnly_{}\tFALSE\t/\tTRUE\t{}\t{}\t{}\n",
            self.origin.host_str().unwrap_or_default(),
            token.expires_at,
            cookies::TERMINAL,
            token.token.expose()
        );
        let beside = self.file.with_extension(format!("{}.new", std::process::id()));
        let written =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).and_then(|mut file| {
                file.write_all(line.as_bytes())?;
                file.sync_all()
            });
        let replaced = written.and_then(|()| fs::rename(&beside, &self.file));
        replaced.map_err(|source| {
            let _ = fs::remove_file(&beside);
            self.fault(source)
        })
    }

    /// The token, unless it is over, or others may have read it.
    pub(super) fn read(&self, now: i64) -> Result<Token, KeptError> {
        let mode = match fs::metadata(&self.file) {
            Ok(metadata) => metadata.permissions().mode(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeptError::Nobody(self.origin.clone()));
            }
            Err(source) => return Err(self.fault(source)),
        };
        if mode & 0o077 != 0 {
            return Err(KeptError::Readable(self.file.clone()));
        }
        let text = Secret::new(fs::read_to_string(&self.file).map_err(|source| self.fault(source))?);
        let found = text.expose().lines().find_map(|line| {
            let mut fields = line.split('\t').skip(4);
            let expires_at = fields.next()?.parse().ok()?;
            let ours = fields.next()? == cookies::TERMINAL;
            let token = Secret::new(fields.next()?.to_owned());
            ours.then_some(Token { token, expires_at })
        });
        match found {
            Some(token) if token.expires_at > now => Ok(token),
            Some(_) => Err(KeptError::Over(self.origin.clone())),
            None => Err(KeptError::Nobody(self.origin.clone())),
        }
    }

    pub(super) fn forget(&self) -> Result<(), KeptError> {
        fs::remove_file(&self.file).map_err(|source| self.fault(source))
    }

    fn fault(&self, source: io::Error) -> KeptError {
        KeptError::File { path: self.file.clone(), source }
    }
}

/// A host and its port, in letters that every file system takes.
fn file_name(origin: &Url) -> String {
    let host = origin
        .host_str()
        .unwrap_or_default()
        .replace(|letter: char| !letter.is_ascii_alphanumeric() && !"-.".contains(letter), "_");
    format!("{host}_{}.cookie", origin.port_or_known_default().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::random_text;

    fn kept() -> Kept {
        let folder = std::env::temp_dir().join(format!("portcullis-kept-{}", random_text::<8>().unwrap()));
        let origin: Url = "https://wiki.corp.example/".parse().unwrap();
        Kept { file: folder.join(file_name(&origin)), origin }
    }

    #[test]
    fn a_token_is_for_its_owner_alone_and_for_its_time() {
        let kept = kept();
        assert!(matches!(kept.read(1), Err(KeptError::Nobody(_))));
        for text in ["pct_first", "pct_second"] {
            kept.write(&Token { token: Secret::new(text.to_owned()), expires_at: 100 }).unwrap();
            assert_eq!(kept.read(99).unwrap().token.expose(), text);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&kept.file), mode(kept.file.parent().unwrap())), (0o600, 0o700));
        assert!(matches!(kept.read(100), Err(KeptError::Over(_))));
        fs::set_permissions(&kept.file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(kept.read(1), Err(KeptError::Readable(_))));
        kept.forget().unwrap();
        assert!(matches!(kept.read(1), Err(KeptError::Nobody(_))));
        fs::remove_dir_all(kept.file.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_host_is_a_file_name_of_its_own() {
        let name = |url: &str| file_name(&url.parse().unwrap());
        assert_eq!(name("https://wiki.corp.example/"), "wiki.corp.example_443.cookie");
        assert_eq!(name("https://[::1]:8443/"), "___1__8443.cookie");
    }
}
