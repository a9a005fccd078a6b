"""CodeRL's graded reward for programs."""

from __future__ import annotations

from turnwise.verifiers.code.unit_tests import UnitTests
from turnwise.verifiers.types import Sample, Verdict

DOES_NOT_COMPILE, CRASHES, FAILS, PASSES = -1.0, -0.6, -0.3, 1.0


class CodeRL(UnitTests):
    """Grades a program as CodeRL does: -1 does not compile, -0.6 crashes, -0.3 fails a test, 1 passes every test.

    Le et al. 2022, "CodeRL: Mastering Code Generation through Pretrained Models and Deep Reinforcement Learning",
    arXiv:2207.01780. A test that runs out of time or memory counts as a crash. Arguments and parts as `UnitTests`.
    """

    async def _averify(self, sample: Sample) -> Verdict:
        verdict = await super()._averify(sample)
        if verdict.parts["compiles"].score < 1:
            grade = DOES_NOT_COMPILE
        elif verdict.parts["runs"].score < 1:
            grade = CRASHES
        else:
            grade = PASSES if verdict.score == 1 else FAILS
        return Verdict(grade, verdict.parts, verdict.evidence, metrics=verdict.metrics)
