/** Every kernel schedule. A node takes the first that applies to it; a new one is a file and a line here. */
import { attentionSchedule } from "./attention.ts";
import { cumulateSchedule, rotateSchedule } from "./channels.ts";
import { convAxis, convAxisStep } from "./conv-axis.ts";
import { convLong } from "./conv-long.ts";
import { convSchedule, convStep } from "./conv.ts";
import { embedSchedule } from "./embed.ts";
import { lowpassSchedule } from "./lowpass.ts";
import { concatSchedule, mapSchedule } from "./map.ts";
import { matmulVector } from "./matmul-vector.ts";
import { matmulElements, matmulTiles } from "./matmul.ts";
import { normSchedule } from "./norm.ts";
import { poolSchedule } from "./pool.ts";
import { poolSteps } from "./pool-steps.ts";
import { packSchedule, unpackSchedule } from "./resample.ts";
import type { Schedule } from "./schedule.ts";
import { selectiveChunks } from "./selective-chunks.ts";
import { selectiveDelta } from "./selective-delta.ts";
import { selectiveLanes } from "./selective-lanes.ts";
import { selectiveSlices } from "./selective-slices.ts";
import { selectiveStep } from "./selective-step.ts";
import { selectiveSsd } from "./selective-ssd.ts";
import { ssmConvolution } from "./ssm-convolution.ts";
import { ssmScaled } from "./ssm-scaled.ts";
import { ssmScan } from "./ssm-scan.ts";
import { ssmStep, ssmStepDense } from "./ssm-step.ts";
import { ssmStepDplr } from "./ssm-step-dplr.ts";

export const schedules: readonly Schedule[] = [
  mapSchedule,
  concatSchedule,
  matmulElements,
  matmulTiles,
  matmulVector,
  normSchedule,
  poolSteps,
  poolSchedule,
  attentionSchedule,
  embedSchedule,
  convAxis,
  convAxisStep,
  convLong,
  convSchedule,
  convStep,
  packSchedule,
  unpackSchedule,
  lowpassSchedule,
  ssmConvolution,
  ssmScan,
  ssmStep,
  ssmStepDense,
  ssmStepDplr,
  ssmScaled,
  selectiveDelta,
  selectiveSsd,
  selectiveSlices,
  selectiveChunks,
  selectiveLanes,
  selectiveStep,
  rotateSchedule,
  cumulateSchedule,
];
