"""Use turnwise's environments in a loop of your own: nothing but Gymnasium.

python examples/own_loop.py
"""

import gymnasium as gym

import turnwise.envs

gym.register_envs(turnwise.envs)  # importing registered them; this tells linters that the import is used

env = gym.make("turnwise/Arithmetic-v0", difficulty="medium", reward="dense", split="test")
observation, info = env.reset(seed=7)
print(info["instructions"], end="\n\n")

done = False
while not done:
    action = env.unwrapped.oracle()  # your model goes here: text in, text out
    print(f"{observation}\n  > {action}")
    observation, reward, terminated, truncated, info = env.step(action)
    done = terminated or truncated
print(f"{observation}  success={info['success']}  parts={info['reward_parts']}")
