/** All that can be measured, by name. */
import { dtp } from './dtp.ts';
import { etcd } from './etcd.ts';
import { postgres } from './postgres.ts';
import { redis } from './redis.ts';
import type { Target, TargetName } from './target.ts';
import { zookeeper } from './zookeeper.ts';

export const targets: Readonly<Record<TargetName, Target>> = { dtp, etcd, zookeeper, postgres, redis };
