"""Use turnwise's credit assignment inside another trainer: NumPy in, one advantage per turn out.

python examples/credit_elsewhere.py
"""

from turnwise.agents.credit import GRPO, GiGPO, TurnTable

# Two attempts at one task. Both pass through the state "door"; one opens it and succeeds, the other walks away.
table = TurnTable.from_columns(
    episode=["a", "a", "b", "b", "b"],
    group=["task", "task", "task", "task", "task"],
    reward=[0.0, 1.0, 0.0, 0.0, 0.0],
    state_key=["start", "door", "start", "door", "hall"],
)
print("GRPO ", GRPO()(table).round(2))  # every turn of an episode gets the same
print("GiGPO", GiGPO(gamma=0.95)(table).round(2))  # what was done at the door counts most
