/** Every selective family. A new one is a file and a line here. */
import type { Recurrence } from "./recurrence.ts";
import { gatedDelta } from "./recurrences/gated-delta.ts";
import { gla } from "./recurrences/gla.ts";
import { hgrn } from "./recurrences/hgrn.ts";
import { mamba } from "./recurrences/mamba.ts";
import { mamba3Mimo, mamba3Siso } from "./recurrences/mamba3.ts";
import { mlstm } from "./recurrences/mlstm.ts";
import { retention } from "./recurrences/retention.ts";
import { rgLru } from "./recurrences/rg-lru.ts";
import { rwkv6 } from "./recurrences/rwkv6.ts";
import { rwkv7 } from "./recurrences/rwkv7.ts";
import { ssd } from "./recurrences/ssd.ts";
import { varying } from "./recurrences/varying.ts";

/** In the order of the documentation. */
export const recurrences: readonly Recurrence[] = [
  mamba,
  ssd,
  mamba3Siso,
  mamba3Mimo,
  retention,
  gla,
  rgLru,
  hgrn,
  varying,
  rwkv6,
  mlstm,
  gatedDelta,
  rwkv7,
];
