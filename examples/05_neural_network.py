"""A high-dimensional neural network, fitted in two ways to the same data: the choice of a method is one line.

The extended Kalman filter learns much from few labels; gradient descent is for many labels and large networks.
"""

from make_copper import copper

from adlayer import Dataset, errors, fit, predict, split

train, valid, test = split(Dataset.from_ase(copper(60)), [40, 8, 12], seed=1)
network = {"HDNNP": {"elements": ["Cu"], "cutoff": 5.0, "hidden": [10, 10]}}
methods = {
    "Kalman filter, 2 epochs": {"Kalman": {"epochs": 2, "forces": 0.05}},
    "Adam, 15 epochs": {"GradientDescent": {"epochs": 15, "learning_rate": 0.01}},
}
for name, method in methods.items():
    fitted = fit(network, train, valid, method)
    found = errors(predict(fitted.potential, test.structures), test)
    print(f"{name:<24} {1000 * found['energy_mae']:7.2f} meV/atom {1000 * found['forces_mae']:7.1f} meV/Å")
