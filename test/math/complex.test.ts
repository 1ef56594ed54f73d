/** Complex functions, judged by identities that lose no digits. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { abs, add, type Complex, complex, div, exp, expm1, log, mul, phi1, scale, sub } from "../../src/math/complex.ts";

/** Complex numbers of modulus 1e-12 to 30, in every direction. */
const anyComplex = fc
  .record({ size: fc.double({ min: -12, max: 1.5, noNaN: true }), angle: fc.double({ min: -Math.PI, max: Math.PI, noNaN: true }) })
  .map(({ size, angle }) => complex(10 ** size * Math.cos(angle), 10 ** size * Math.sin(angle)));
const distance = (a: Complex, b: Complex): number => abs(sub(a, b)) / Math.max(abs(b), 1e-300);

test("division undoes multiplication, at sizes whose squares overflow too", () => {
  fc.assert(
    fc.property(anyComplex, anyComplex, (a, b) => {
      expect(distance(div(mul(a, b), b), a)).toBeLessThan(1e-15);
    }),
  );
  expect(distance(div(complex(1e200, 1e200), complex(1e200, -1e200)), complex(0, 1))).toBeLessThan(1e-15);
});

test("log undoes exp up to the period", () => {
  fc.assert(
    fc.property(anyComplex, (a) => {
      const b = sub(log(exp(a)), a);
      expect(abs(complex(b.re, b.im - 2 * Math.PI * Math.round(b.im / (2 * Math.PI))))).toBeLessThan(1e-14 * Math.max(1, abs(a)));
    }),
  );
});

test("expm1 of a small number is its series a + a^2/2 + a^3/6 + a^4/24 + a^5/120", () => {
  fc.assert(
    fc.property(anyComplex, (a) => {
      const small = scale(a, 1e-3 / Math.max(1, abs(a)));
      const terms = [1 / 120, 1 / 24, 1 / 6, 1 / 2, 1].reduce((sum: Complex, c) => mul(small, add(sum, complex(c))), complex(0));
      expect(distance(expm1(small), terms)).toBeLessThan(1e-15);
    }),
  );
});

test("expm1 of a large number is exp less one", () => {
  fc.assert(
    fc.property(anyComplex, (a) => {
      const large = scale(a, 1 / Math.min(1, abs(a)));
      expect(abs(sub(expm1(large), sub(exp(large), complex(1))))).toBeLessThan(1e-15 * (1 + abs(exp(large))) * Math.max(1, abs(large)));
    }),
  );
});

test("phi1(2a) = phi1(a) (1 + e^a) / 2, also where a vanishes", () => {
  fc.assert(
    fc.property(anyComplex, (a) => {
      const doubled = scale(mul(phi1(a), add(exp(a), complex(1))), 0.5);
      expect(abs(sub(phi1(scale(a, 2)), doubled))).toBeLessThan(4e-15 * (1 + abs(exp(a))) * abs(phi1(a)) * Math.max(1, abs(a)));
    }),
  );
  expect(phi1(complex(0))).toEqual(complex(1));
});
