#!/usr/bin/env python3
"""Writes special_values.hpp: values of functions to 100 bits. Needs mpmath: python3 special_values.py > special_values.hpp"""
import math
import random

import mpmath
from mpmath import mp, mpf

mp.prec = 1600  # enough to reduce 1e308 modulo pi, and for 1 + 5e-324 - 1
random.seed(20261125)


def signed(values):
    return [s * v for v in values for s in (1, -1)]


def spread(low, high, count):  # random magnitudes, uniform in the exponent
    return [math.exp(random.uniform(math.log(low), math.log(high))) for _ in range(count)]


def between(low, high, count):
    return [random.uniform(low, high) for _ in range(count)]


tiny = [5e-324, 2.5e-323, 2.2250738585072014e-308, 1e-300, 2.0**-54, 2.0**-30, 1e-5]
huge = [1e15, 1e22, 1.7976931348623157e308]


def log_gamma(x):
    with mp.workprec(300):
        if x > 0:
            return mpmath.loggamma(x)
        return mpmath.log(abs(mpmath.pi / mpmath.sinpi(x))) - mpmath.loggamma(1 - x)


def with_precision(f):
    def g(x):
        with mp.workprec(200):
            return f(x)
    return g


gamma_positive = [0.1, 0.5, 0.75, 1.25, 1.5, 2.5, 3.0, 7.99, 8.0, 10.0, 100.5, 1e10] + between(0, 4, 10) + between(4, 30, 10)
gamma_negative = [-0.5, -1.5, -2.5, -1e-5, -3.25, -10.125] + between(-1, 0, 5) + between(-20, -1, 10)

functions = {
    "exp": (mpmath.exp, signed(tiny) + [709.782712893384, -745.1332191019411, -708.4, 1.0, -1.0, 0.5] + between(-745, 709, 15) + between(-2, 2, 15)),
    "expm1": (mpmath.expm1, signed(tiny) + [709.782712893384, 1.0, -1.0, -36.0, 0.34657359, -0.34657360] + between(-38, 709, 15) + between(-2, 2, 15)),
    "log": (mpmath.log, tiny + huge + [2.0, 0.5, 10.0, math.nextafter(1, 0), math.nextafter(1, 2), 0.7071067811865475, 0.7071067811865476] + spread(1e-300, 1e300, 15) + between(0, 3, 15)),
    "log1p": (mpmath.log1p, signed(tiny) + huge + [math.nextafter(-1, 0), -0.5, 1.0, 0.41421356, -0.29289322] + spread(1e-20, 1e20, 10) + between(-1, 3, 20)),
    "sqrt": (mpmath.sqrt, tiny + huge + [2.0, 3.0, 0.5, math.nextafter(1, 0), math.nextafter(1, 2), math.nextafter(4, 0)] + spread(1e-320, 1e300, 20)),
    "tanh": (mpmath.tanh, signed(tiny) + [0.5, 1.0, -1.0, 19.0, -18.5] + between(-5, 5, 20)),
    "sin": (mpmath.sin, signed(tiny) + signed(huge) + [math.pi, math.pi / 2, 0.78, 355.0, 6381956970095103 * 2.0**797] + between(-10, 10, 20) + spread(1, 1e300, 15)),
    "cos": (mpmath.cos, signed(tiny) + signed(huge) + [math.pi, math.pi / 2, 0.78, 355.0, 6381956970095103 * 2.0**797] + between(-10, 10, 20) + spread(1, 1e300, 15)),
    "erf": (with_precision(mpmath.erf), signed(tiny) + [0.5, 1.0, 1.4999999999999998, 1.5, 5.0, -5.9] + between(-3, 3, 20)),
    "erfc": (with_precision(mpmath.erfc), signed(tiny) + [0.5, 1.0, 1.4999999999999998, 1.5, 5.0, -5.9, 26.5, 27.2] + between(-3, 27, 20) + between(0, 3, 20)),
    "log_gamma": (log_gamma, tiny + [1e15, 1e100, 2.5e305, math.nextafter(1, 0), math.nextafter(1, 2), math.nextafter(2, 0), math.nextafter(2, 3), -1e-300] + gamma_positive + gamma_negative),
    "digamma": (with_precision(mpmath.digamma), gamma_positive + gamma_negative),
    "trigamma": (with_precision(lambda x: mpmath.psi(1, x)), gamma_positive + gamma_negative),
}


def number(x):
    return float(x).hex()


def high_and_low(value):
    high = float(value)
    return f"{number(high)}, {number(value - mpf(high))}"


print("#pragma once\n\n/// Arguments and values of functions, each value as high + low. Written by special_values.py with mpmath.")
print("namespace special_values {\n")
print("struct reference {\n    double x;\n    double high;\n    double low;\n};\n")
print("struct reference_of_two {\n    double x;\n    double y;\n    double high;\n    double low;\n};\n")
print("// clang-format off")
for name, (f, arguments) in functions.items():
    print(f"inline constexpr reference {name}[] = {{")
    for x in arguments:
        print(f"    {{{number(x)}, {high_and_low(f(mpf(x)))}}},")
    print("};")
powers = [(2.0, 0.5), (0.5, 1074.0), (10.0, 308.0), (10.0, -308.0), (-2.0, 3.0), (-1.5, 1001.0), (1 + 2.0**-52, 2.0**60), (5e-324, 0.25),
          (1.7976931348623157e308, -0.999), (3.0, 1e-300)]
powers += list(zip(spread(1e-3, 1e3, 20), between(-90, 90, 20))) + list(zip(spread(1e-300, 1e300, 20), between(-1, 1, 20)))
print("inline constexpr reference_of_two pow[] = {")
for x, y in powers:
    print(f"    {{{number(x)}, {number(y)}, {high_and_low(mpf(x) ** mpf(y))}}},")
print("};\n// clang-format on\n\n} // namespace special_values")
