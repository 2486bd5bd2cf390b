/** Who is in the cluster, and what places keys on it. Every node and client derives the same placement from a view. */
export interface View {
  /** Counts up with every change of membership. */
  readonly epoch: number;
  readonly cluster: string;
  /** Fixed when the cluster is made; a power of two. */
  readonly partitions: number;
  /** Replicas of each partition. */
  readonly replicationFactor: number;
  /** Sorted by id. */
  readonly members: readonly Member[];
}

export interface Member {
  readonly id: string;
  /** Where its node listens, as ws://host:port. */
  readonly url: string;
  /** Relative share of the partitions; 1 unless told. */
  readonly weight: number;
  /** Replicas of a partition are put in distinct zones while there are enough of them. */
  readonly zone: string | null;
}
