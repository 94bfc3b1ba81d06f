//! The one list of calls that are not served, each with the reason. They are answered UNIMPLEMENTED, which
//! clients do not retry.

/// Hands the list to another macro, behind what that macro got.
macro_rules! unsupported {
    ($then:ident! { $($first:tt)* }) => {
        $then! {
            { $($first)* }
            {
                "schemas cannot be changed after a collection was created" {
                    alter_collection_schema: wire::AlterCollectionSchemaRequest => wire::AlterCollectionSchemaResponse;
                    add_collection_field: wire::AddCollectionFieldRequest => Status;
                }
                "functions of a collection (BM25, embeddings) are not served" {
                    add_collection_function: wire::AddCollectionFunctionRequest => Status;
                    alter_collection_function: wire::AlterCollectionFunctionRequest => Status;
                    drop_collection_function: wire::DropCollectionFunctionRequest => Status;
                    run_analyzer: wire::RunAnalyzerRequest => wire::RunAnalyzerResponse;
                    compute_phrase_match_slop: wire::Unserved => wire::Unserved;
                }
                "collections cannot be truncated; drop and create the collection" {
                    truncate_collection: wire::TruncateCollectionRequest => wire::TruncateCollectionResponse;
                }
                "replicas, and where segments are, are the server's own business" {
                    get_replicas: wire::GetReplicasRequest => wire::GetReplicasResponse;
                    load_balance: wire::LoadBalanceRequest => Status;
                    get_persistent_segment_info: wire::GetPersistentSegmentInfoRequest => wire::GetPersistentSegmentInfoResponse;
                    get_query_segment_info: wire::GetQuerySegmentInfoRequest => wire::GetQuerySegmentInfoResponse;
                    describe_segment_index_data: wire::Unserved => wire::Unserved;
                    list_indexed_segment: wire::Unserved => wire::Unserved;
                }
                "metrics are served over HTTP at /metrics" {
                    get_metrics: wire::GetMetricsRequest => wire::GetMetricsResponse;
                }
                "flush the collections one by one" {
                    flush_all: wire::FlushAllRequest => wire::FlushAllResponse;
                    get_flush_all_state: wire::GetFlushAllStateRequest => wire::GetFlushAllStateResponse;
                }
                "files cannot be imported; insert the rows" {
                    import: wire::ImportRequest => wire::ImportResponse;
                    get_import_state: wire::GetImportStateRequest => wire::GetImportStateResponse;
                    list_import_tasks: wire::ListImportTasksRequest => wire::ListImportTasksResponse;
                }
                "there is nothing to compact by hand" {
                    manual_compaction: wire::ManualCompactionRequest => wire::ManualCompactionResponse;
                    get_compaction_state: wire::GetCompactionStateRequest => wire::GetCompactionStateResponse;
                    get_compaction_state_with_plans: wire::GetCompactionPlansRequest => wire::GetCompactionPlansResponse;
                }
                "there are no users, roles and privileges" {
                    create_credential: wire::CreateCredentialRequest => Status;
                    update_credential: wire::UpdateCredentialRequest => Status;
                    delete_credential: wire::DeleteCredentialRequest => Status;
                    list_cred_users: wire::ListCredUsersRequest => wire::ListCredUsersResponse;
                    create_role: wire::CreateRoleRequest => Status;
                    drop_role: wire::DropRoleRequest => Status;
                    operate_user_role: wire::OperateUserRoleRequest => Status;
                    select_role: wire::SelectRoleRequest => wire::SelectRoleResponse;
                    select_user: wire::SelectUserRequest => wire::SelectUserResponse;
                    operate_privilege: wire::OperatePrivilegeRequest => Status;
                    operate_privilege_v2: wire::OperatePrivilegeV2Request => Status;
                    select_grant: wire::SelectGrantRequest => wire::SelectGrantResponse;
                    create_privilege_group: wire::CreatePrivilegeGroupRequest => Status;
                    drop_privilege_group: wire::DropPrivilegeGroupRequest => Status;
                    list_privilege_groups: wire::ListPrivilegeGroupsRequest => wire::ListPrivilegeGroupsResponse;
                    operate_privilege_group: wire::OperatePrivilegeGroupRequest => Status;
                    backup_rbac: wire::BackupRbacMetaRequest => wire::BackupRbacMetaResponse;
                    restore_rbac: wire::RestoreRbacMetaRequest => Status;
                    alter_role: wire::Unserved => wire::Unserved;
                    add_user_tags: wire::Unserved => wire::Unserved;
                    delete_user_tags: wire::Unserved => wire::Unserved;
                    get_user_tags: wire::Unserved => wire::Unserved;
                    list_users_with_tag: wire::Unserved => wire::Unserved;
                }
                "there is no row-level security" {
                    create_row_policy: wire::Unserved => wire::Unserved;
                    drop_row_policy: wire::Unserved => wire::Unserved;
                    list_row_policies: wire::Unserved => wire::Unserved;
                    update_row_policy: wire::Unserved => wire::Unserved;
                    set_rls_principal_tags: wire::Unserved => wire::Unserved;
                    get_rls_principal_tags: wire::Unserved => wire::Unserved;
                    list_rls_principals: wire::Unserved => wire::Unserved;
                    delete_rls_principal_tags: wire::Unserved => wire::Unserved;
                }
                "there are no resource groups" {
                    create_resource_group: wire::CreateResourceGroupRequest => Status;
                    drop_resource_group: wire::DropResourceGroupRequest => Status;
                    update_resource_groups: wire::UpdateResourceGroupsRequest => Status;
                    list_resource_groups: wire::ListResourceGroupsRequest => wire::ListResourceGroupsResponse;
                    describe_resource_group: wire::DescribeResourceGroupRequest => wire::DescribeResourceGroupResponse;
                    transfer_node: wire::TransferNodeRequest => Status;
                    transfer_replica: wire::TransferReplicaRequest => Status;
                }
                "there are no snapshots to manage; an iterator reads one" {
                    create_snapshot: wire::Unserved => wire::Unserved;
                    drop_snapshot: wire::Unserved => wire::Unserved;
                    list_snapshots: wire::Unserved => wire::Unserved;
                    describe_snapshot: wire::Unserved => wire::Unserved;
                    restore_snapshot: wire::Unserved => wire::Unserved;
                    restore_external_snapshot: wire::Unserved => wire::Unserved;
                    export_snapshot: wire::Unserved => wire::Unserved;
                    get_export_snapshot_state: wire::Unserved => wire::Unserved;
                    get_restore_snapshot_state: wire::Unserved => wire::Unserved;
                    list_restore_snapshot_jobs: wire::Unserved => wire::Unserved;
                    pin_snapshot_data: wire::Unserved => wire::Unserved;
                    unpin_snapshot_data: wire::Unserved => wire::Unserved;
                }
                "there are no namespaces" {
                    create_namespace: wire::Unserved => wire::Unserved;
                    describe_namespace: wire::Unserved => wire::Unserved;
                    list_namespaces: wire::Unserved => wire::Unserved;
                    drop_namespace: wire::Unserved => wire::Unserved;
                    has_namespace: wire::Unserved => wire::Unserved;
                    get_namespace_stats: wire::Unserved => wire::Unserved;
                    prewarm: wire::Unserved => wire::Unserved;
                    describe_prewarm_task: wire::Unserved => wire::Unserved;
                }
                "there are no external collections and file resources" {
                    batch_update_manifest: wire::Unserved => wire::Unserved;
                    refresh_external_collection: wire::Unserved => wire::Unserved;
                    get_refresh_external_collection_progress: wire::Unserved => wire::Unserved;
                    list_refresh_external_collection_jobs: wire::Unserved => wire::Unserved;
                    add_file_resource: wire::Unserved => wire::Unserved;
                    remove_file_resource: wire::Unserved => wire::Unserved;
                    list_file_resources: wire::Unserved => wire::Unserved;
                }
                "there is no replication between clusters" {
                    replicate_message: wire::Unserved => wire::Unserved;
                    update_replicate_configuration: wire::Unserved => wire::Unserved;
                    get_replicate_configuration: wire::Unserved => wire::Unserved;
                    get_replicate_info: wire::Unserved => wire::Unserved;
                }
                "struct arrays are not served" {
                    add_collection_struct_field: wire::Unserved => wire::Unserved;
                }
                "gone from Milvus" {
                    calc_distance: wire::Unserved => wire::Unserved;
                    register_link: wire::Unserved => wire::Unserved;
                }
            }
        }
    };
}

pub(crate) use unsupported;

/// The answer to a call that is not served.
pub(crate) fn refuse(call: &str, reason: &str) -> tonic::Status {
    tonic::Status::unimplemented(format!("{call} is not served by Cinclus: {reason}"))
}

/// Why messages cannot be streamed between clusters (the two calls with streams of their own).
pub(crate) const NO_STREAMS: &str = "there is no replication between clusters";
