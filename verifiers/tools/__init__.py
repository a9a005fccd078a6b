"""Tool calls: read in any dialect, compared by type, matched optimally; surplus calls never pay."""

from turnwise.verifiers.tools.calls import MalformedCall, ToolCall
from turnwise.verifiers.tools.parsing import parse_calls
from turnwise.verifiers.tools.policy import ToolPolicy
from turnwise.verifiers.tools.schemas import Tool, read_tools
from turnwise.verifiers.tools.verifier import ToolCalls

__all__ = ["MalformedCall", "Tool", "ToolCall", "ToolCalls", "ToolPolicy", "parse_calls", "read_tools"]
