//! Who asks, as guards below the root see it: [`Grants`].

use std::fmt::Debug;

use crate::JsonObject;

/// What a signed-in principal may do. Where one is asked for, `None` is an anonymous client.
pub trait Grants: Debug {
    /// Its claims, for templates.
    fn claims(&self) -> &JsonObject;

    /// Whether it holds `scope`, on `resource` if there is one.
    fn allow(&self, scope: &str, resource: Option<&str>) -> bool;

    /// A digest of everything that decides `scope` on any resource: who has the same is always told the same.
    fn digest(&self, scope: &str) -> [u8; 32];
}
