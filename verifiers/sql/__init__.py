"""SQL: queries judged by what they return on guarded copies, repairs by the database that they leave behind."""

from turnwise.verifiers.sql.database import Database
from turnwise.verifiers.sql.policy import SQLBudget, SQLPolicy
from turnwise.verifiers.sql.state import SQLState
from turnwise.verifiers.sql.verifier import SQLVerifier

__all__ = ["Database", "SQLBudget", "SQLPolicy", "SQLState", "SQLVerifier"]
