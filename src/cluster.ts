/** The door of `Cluster`, which loads Effect's cluster: nothing else imports it. */
export * as Cluster from "./cluster/Cluster.ts"
