"""Agents: policies, engines, rollouts, credit assignment, losses, the learner and the trainer.

Importing this package loads none of them, so that one can be used without what the others need:

    turnwise.agents.credit       turn-level advantages; NumPy only
    turnwise.agents.policies     what decides: an engine, an API model, a script, an oracle, a person
    turnwise.agents.engines      what generates tokens
    turnwise.agents.rollout      episodes side by side
    turnwise.agents.evaluation   success with intervals
    turnwise.agents.learner      packed sequences, optimizer steps, checkpoints
    turnwise.agents.trainer      the loop
"""
