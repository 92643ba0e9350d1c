//! Who asks, and what they may. The one table of rights: whatever is not in it is refused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::Problem;

/// No operator can be named so: a name has no blank at its end.
const COMMAND_LINE: &str = "command line ";

/// What an operator is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Makes and changes, and asks for approval.
    Developer,
    /// Decides, and sees to operators.
    Admin,
}

/// A right. Tokens of the API carry some of them.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// See the registry, turns and deliveries.
    Read,
    /// Make and change apps, bots and channels, and ask for approval.
    Configure,
    /// Approve, reject, suspend.
    Approve,
    /// Resend, redrive, erase.
    Operate,
    /// Operators, tokens, the audit log.
    Administer,
}

impl Scope {
    pub const ALL: [Self; 5] =
        [Self::Read, Self::Configure, Self::Approve, Self::Operate, Self::Administer];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Configure => "configure",
            Self::Approve => "approve",
            Self::Operate => "operate",
            Self::Administer => "administer",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

impl Role {
    pub const ALL: [Self; 2] = [Self::Developer, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// What a role may.
    pub const fn may(self, scope: Scope) -> bool {
        match (self, scope) {
            (Self::Developer, Scope::Read | Scope::Configure) | (Self::Admin, _) => true,
            (Self::Developer, Scope::Approve | Scope::Operate | Scope::Administer) => false,
        }
    }
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// As the audit log names them.
    pub name: String,
    /// Whom a decision counts for: the operator, whichever of their tokens they use.
    pub person: String,
    pub scopes: Vec<Scope>,
}

impl Actor {
    /// Whoever holds the data folder, or the database and its keys, holds everything anyway.
    pub fn command_line() -> Self {
        let name = COMMAND_LINE.trim_end().to_owned();
        Self { person: COMMAND_LINE.to_owned(), name, scopes: Scope::ALL.to_vec() }
    }

    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    pub fn need(&self, scope: Scope) -> Result<(), Problem> {
        if self.may(scope) {
            return Ok(());
        }
        Err(Problem::forbidden(format!("this needs the right to {}", scope.as_str())))
    }

    /// Whether it is the command line, which no second person can watch.
    pub fn is_local(&self) -> bool {
        self.person == COMMAND_LINE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_may_what_the_table_says() {
        // Columns: read, configure, approve, operate, administer.
        let table = [
            (Role::Developer, [true, true, false, false, false]),
            (Role::Admin, [true, true, true, true, true]),
        ];
        assert_eq!(table.map(|(role, _)| role), Role::ALL);
        for (role, row) in table {
            assert_eq!(Scope::ALL.map(|scope| role.may(scope)), row, "{role:?}");
        }
    }
}
