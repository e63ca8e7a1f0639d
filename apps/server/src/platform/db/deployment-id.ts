import { statement, type Db } from './tx.ts'

const find = statement<{ deployment_id: string }>('deployment.find', 'select deployment_id from deployment')

/** What tells this deployment from any other: it stands in every token. */
export async function findDeploymentId(db: Db): Promise<string> {
  return db.withTx({ role: 'lookup' }, async (tx) => (await tx.rows(find))[0]!.deployment_id)
}
