"""Compose a reward from verifiers, and see why it is what it is.

python examples/compose_verifiers.py
"""

from turnwise.verifiers import NumericMatch, TaggedFormat, Verdict, Within, verifier


@verifier
def brief(response: str) -> Verdict:
    """A component of one's own: any function of the response."""
    words = len(response.split())
    return Verdict(1.0 if words <= 20 else 20 / words, evidence=f"{words} words")


shape = TaggedFormat("think", "answer")
answer = Within("answer", NumericMatch())
reward = 0.1 * shape + 0.9 * (shape >> (answer & brief))  # a wrong shape earns nothing for the answer

for response in (
    "<think>7 * 6</think><answer>42</answer>",
    "<think>7 * 6</think><answer>41</answer>",
    "The answer is 42.",
):
    verdict = reward(response, "42")
    print(f"{verdict.score:.2f}  {response}\n      {verdict.evidence}")
