export function double(gpu: GPU): Promise<number[]>;
